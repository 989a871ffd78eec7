//! A client that keeps everything of a response, and watches all responses for secrets.

use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::secrets::Secrets;
use crate::Result;

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum number of retries of a request that the broker's limit of requests refused.
const BUSY: u32 = 60;

/// A request.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path and the query.
    pub(super) path: String,
    /// The value of `Authorization`; `None` without the field.
    pub(super) authorization: Option<String>,
    /// More fields, such as the media type.
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: String,
    /// Whether the response may contain the values of Secrets.
    pub(super) shows_secrets: bool,
}

impl Request {
    pub(super) fn new(key: &str, method: &str, path: impl Into<String>) -> Self {
        let authorization = Some(format!("Bearer {key}"));
        Self { method: method.to_owned(), path: path.into(), authorization, ..Self::default() }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a body, which is empty for no body.
    pub(super) fn body(mut self, kind: &str, body: impl Into<String>) -> Self {
        self.body = body.into();
        if self.body.is_empty() { self } else { self.with("content-type", kind) }
    }
}

/// A response.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Sorted.
    head: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(super) fn text(&self, pointer: &str) -> Result<String> {
        let text = self.value().pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Ok(text.ok_or_else(|| format!("no {pointer} in {}", self.shown()))?)
    }

    /// The slug of the problem; empty for other responses.
    pub(super) fn slug(&self) -> String {
        self.text("/type").unwrap_or_default().trim_start_matches("/problems/").to_owned()
    }

    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.status, self.body.chars().take(200).collect::<String>())
    }

    /// Everything of the response but the request id and the date.
    pub(super) fn comparable(&self) -> String {
        let request_id =
            self.head.iter().find(|(name, _)| name == "x-request-id").map_or("?", |(_, value)| value.as_str());
        let fields = self.head.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
        let fields: String = fields.map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!("{}\n{fields}\n{}", self.status, self.body.replace(request_id, ""))
    }
}

/// Sends requests to one broker.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    pub(super) secrets: Secrets,
}

impl Client {
    pub(super) fn new(base: &str) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        Ok(Self { http, base: base.to_owned(), secrets: Secrets::default() })
    }

    /// Sends a request. Repeats it while the broker's limit of requests refuses it.
    pub(super) async fn ask(&self, request: &Request) -> Result<Answer> {
        for _ in 0..BUSY {
            let answer = self.once(request).await?;
            if answer.status != 429 {
                let place = format!("the response to {} {}", request.method, request.path);
                self.secrets.search(&place, &answer.comparable(), request.shows_secrets);
                // The keys that a response creates must not appear in any later one.
                self.secrets.add_key(&answer.body);
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(format!("{} {}: the broker stayed busy", request.method, request.path).into())
    }

    async fn once(&self, request: &Request) -> Result<Answer> {
        let method: Method = request.method.parse()?;
        let mut sent = self.http.request(method, format!("{}{}", self.base, request.path));
        for (name, value) in &request.fields {
            sent = sent.header(name, value);
        }
        if let Some(value) = &request.authorization {
            sent = sent.header("authorization", value);
        }
        if !request.body.is_empty() {
            sent = sent.body(request.body.clone());
        }
        let answer = sent.send().await?;
        let status = answer.status().as_u16();
        let fields = answer.headers().iter();
        let mut head: Vec<(String, String)> = fields
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        head.sort();
        let body = String::from_utf8_lossy(&answer.bytes().await?).into_owned();
        Ok(Answer { status, head, body })
    }

    /// Sends JSON. Fails unless the response is a success.
    pub(super) async fn json(&self, key: &str, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::new(key, method, format!("/api/v1{path}")).body("application/json", body);
        let answer = self.ask(&request).await?;
        if (200..300).contains(&answer.status) {
            Ok(answer)
        } else {
            Err(format!("{method} {path}: {}", answer.shown()).into())
        }
    }

    /// All items of a list.
    pub(super) async fn pages(&self, key: &str, path: &str) -> Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.json(key, "GET", &format!("{path}?limit=500{cursor}"), &Value::Null).await?.value();
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }
}
