//! A client that sends bytes as they are.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;

/// Time limit of an exchange.
const EXCHANGE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) admin: String,
}

/// A response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// In lower case.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The first response among bytes.
    pub(super) fn of(bytes: &[u8]) -> Result<Self> {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").ok_or("the response has no head")?;
        let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or("the response has no status")?;
        let body = bytes.get(end + 4..).unwrap_or_default().to_vec();
        Ok(Self { status, head, body })
    }

    pub(super) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn text(&self, pointer: &str) -> Result<String> {
        let value = self.value();
        let text = value.pointer(pointer).and_then(Value::as_str);
        Ok(text.ok_or_else(|| format!("no {pointer} in {}", self.shown()))?.to_owned())
    }

    /// The slug of the problem; empty for other responses.
    pub(super) fn slug(&self) -> String {
        let slug = self.text("/type").unwrap_or_default();
        if self.status < 400 { String::new() } else { slug.trim_start_matches("/problems/").to_owned() }
    }

    pub(super) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        format!("{} {}", self.status, text.chars().take(300).collect::<String>())
    }

    /// What an error response lacks.
    pub(super) fn malformed(&self) -> Option<String> {
        if self.status < 400 {
            return None;
        }
        let has = |field: &str| self.head.contains(&format!("\r\n{field}"));
        let request_id = self.text("/request_id").unwrap_or_default();
        let needs = [
            (has("content-type: application/problem+json"), "the media type"),
            (!request_id.is_empty() && has(&format!("x-request-id: {request_id}")), "the request id"),
            (self.status != 401 || has("www-authenticate: bearer"), "WWW-Authenticate"),
            (self.status != 405 || has("allow: "), "Allow"),
            (self.status != 503 || has("retry-after: "), "Retry-After"),
        ];
        let missing: Vec<&str> = needs.into_iter().filter(|(has, _)| !has).map(|(_, what)| what).collect();
        (!missing.is_empty()).then(|| format!("the response lacks {}: {}", missing.join(", "), self.shown()))
    }
}

impl Client {
    pub(super) fn new(address: SocketAddr, admin: String) -> Self {
        Self { address, admin }
    }

    /// Sends bytes and reads until the server closes the connection.
    pub(super) async fn raw(&self, sent: impl AsRef<[u8]>) -> Result<Answer> {
        let connection = TcpStream::connect(self.address).await?;
        let (mut reading, mut writing) = connection.into_split();
        let mut answer = Vec::new();
        let exchange = async {
            let write = async { drop(writing.write_all(sent.as_ref()).await) };
            tokio::join!(write, reading.read_to_end(&mut answer)).1
        };
        let read =
            tokio::time::timeout(EXCHANGE, exchange).await.map_err(|_| "the server does not close the connection")?;
        match Answer::of(&answer) {
            Ok(answer) if read.is_ok() => Ok(answer),
            _ => Err(format!("{read:?} after {} bytes", answer.len()).into()),
        }
    }

    /// The bytes of a request after which the connection closes.
    pub(super) fn request(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: broker\r\nconnection: close\r\n");
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    /// Sends a request as the admin.
    pub(super) async fn call(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let key = format!("Bearer {}", self.admin);
        let fields: Vec<_> = [("authorization", key.as_str())].into_iter().chain(fields.iter().copied()).collect();
        self.raw(self.request(method, path, &fields, body)).await
    }

    /// Sends JSON as the admin.
    pub(super) async fn json(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        self.call(method, &format!("/api/v1{path}"), &[("content-type", "application/json")], body.as_bytes()).await
    }

    /// Whether the broker is ready.
    pub(super) async fn ready(&self) -> Result<bool> {
        Ok(self.raw(self.request("GET", "/readyz", &[], b"")).await?.status == 200)
    }
}
