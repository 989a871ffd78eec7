//! A proxy in front of a real broker that can falsify its answers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use brokkr_core::model::Epoch;
use brokkr_core::protocol::TargetState;

/// Maximum wait of an unchanged poll. Short, so that agents soon request the next answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The current answer of the real broker, and earlier ones.
pub(crate) struct Told {
    pub(crate) now: TargetState,
    pub(crate) before: Vec<TargetState>,
}

/// How the proxy falsifies the broker's answers.
#[derive(Clone, Copy)]
pub(crate) enum Lie {
    Honest,
    /// Replaces the answer to every poll.
    ToPolls(fn(&Told) -> Response),
    /// Replaces the content of deployment objects.
    AboutContent(fn(Vec<u8>) -> Response),
}

struct Inner {
    lie: Lie,
    told: usize,
    elsewhere: usize,
    epoch: Option<Epoch>,
    before: Vec<TargetState>,
}

/// A server between agents and a broker. It ends on drop.
pub(crate) struct Liar {
    pub(crate) url: String,
    broker: String,
    http: reqwest::Client,
    inner: Mutex<Inner>,
}

impl Liar {
    pub(crate) async fn start(broker: &str) -> Arc<Self> {
        brokkr_http::client::install_crypto_provider();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Inner { lie: Lie::Honest, told: 0, elsewhere: 0, epoch: None, before: Vec::new() };
        let liar = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            broker: broker.to_owned(),
            http: reqwest::Client::new(),
            inner: Mutex::new(inner),
        });
        let router = Router::new().fallback(answer).with_state(liar.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        liar
    }

    /// Sets the lie for all further answers.
    pub(crate) fn say(&self, lie: Lie) {
        let mut inner = self.inner.lock().unwrap();
        inner.lie = lie;
        inner.told = 0;
    }

    /// The number of falsified answers so far.
    pub(crate) fn told(&self) -> usize {
        self.inner.lock().unwrap().told
    }

    /// The number of requests that followed a redirect.
    pub(crate) fn elsewhere(&self) -> usize {
        self.inner.lock().unwrap().elsewhere
    }

    /// Gives all further answers another epoch that an admin has confirmed.
    pub(crate) fn begin_epoch(&self) {
        self.inner.lock().unwrap().epoch = Some(Epoch::generate());
    }

    fn lie(&self) -> Lie {
        self.inner.lock().unwrap().lie
    }

    async fn forward(&self, method: Method, path: &str, headers: &HeaderMap, body: Bytes) -> Response {
        let mut request = self.http.request(method, format!("{}{path}", self.broker)).body(body);
        for name in [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT] {
            if let Some(value) = headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let Ok(response) = request.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
        let (status, mut headers) = (response.status(), response.headers().clone());
        // These headers describe the connection, not the content.
        for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
            headers.remove(name);
        }
        let Ok(bytes) = response.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
        (status, headers, bytes).into_response()
    }

    /// The current answer of the real broker. Forwards answers that are not target states unchanged.
    async fn ask(&self, path: &str, headers: &HeaderMap) -> Result<TargetState, Response> {
        let response = self.forward(Method::GET, path, headers, Bytes::new()).await;
        if response.status() != StatusCode::OK {
            return Err(response);
        }
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let state: TargetState = serde_json::from_slice(&bytes).unwrap();
        let mut inner = self.inner.lock().unwrap();
        let state = match inner.epoch {
            Some(epoch) => {
                TargetState::new(state.agent_id, epoch, true, state.generation, state.tenants, state.entries)
            }
            None => state,
        };
        if inner.before.last().is_none_or(|last| last.digest != state.digest) {
            inner.before.push(state.clone());
        }
        Ok(state)
    }

    async fn poll(&self, path: &str, headers: &HeaderMap) -> Response {
        let known = headers.get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        loop {
            let now = match self.ask(path, headers).await {
                Ok(now) => now,
                Err(response) => return response,
            };
            // Read the lie after the request, so that no true answer contains a revision from after the lie began.
            if let Lie::ToPolls(lie) = self.lie() {
                let mut before = self.inner.lock().unwrap().before.clone();
                before.retain(|it| it.digest != now.digest);
                let response = lie(&Told { now, before });
                self.inner.lock().unwrap().told += 1;
                return response;
            }
            let etag = format!("\"{}\"", now.digest);
            if etag != known {
                return json(&now);
            }
            if Instant::now() >= deadline {
                let generation = now.generation.get().to_string();
                let headers =
                    [("etag", etag), ("brokkr-generation", generation), ("brokkr-epoch", now.epoch.to_string())];
                return (StatusCode::NOT_MODIFIED, headers).into_response();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A target state in the form that the broker sends.
pub(crate) fn json(state: &TargetState) -> Response {
    let headers = [("content-type", "application/json".to_owned()), ("etag", format!("\"{}\"", state.digest))];
    (headers, serde_json::to_vec(state).unwrap()).into_response()
}

async fn answer(State(liar): State<Arc<Liar>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path();
    if path.starts_with("/elsewhere") {
        liar.inner.lock().unwrap().elsewhere += 1;
        return StatusCode::NOT_FOUND.into_response();
    }
    if path.ends_with("/target-state") {
        return liar.poll(path, &headers).await;
    }
    let whole = uri.path_and_query().map_or(path, |it| it.as_str());
    let is_content = path.starts_with("/api/v1/deployment-objects/");
    let response = liar.forward(method, whole, &headers, body).await;
    match liar.lie() {
        Lie::AboutContent(lie) if is_content => {
            let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            liar.inner.lock().unwrap().told += 1;
            lie(bytes.to_vec())
        }
        _ => response,
    }
}
