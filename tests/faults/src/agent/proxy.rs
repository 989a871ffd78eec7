//! A proxy between an agent and a server. It sees each request before and after it is forwarded, and can interfere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::gate::Gate;
use crate::{BoxedError, Result};

/// A request on its way.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Bytes,
    /// The status of the response; `None` before the request is forwarded.
    pub(crate) answered: Option<u16>,
}

/// What the proxy does with a request.
pub(crate) enum Verdict {
    /// Forwards it.
    Pass,
    /// Responds with this status. A request that was not forwarded yet never is.
    Answer { status: u16, retry_after: Option<u64> },
    /// Cuts the agent off from every server. The proxy does not forward the request; if the response has already
    /// arrived, the agent still gets it.
    CutOff,
}

/// A function that sees each request twice: on arrival and with the response.
type Hook = Box<dyn FnMut(&Call) -> Verdict + Send>;

struct Shared {
    upstream: String,
    http: reqwest::Client,
    gate: Arc<Gate>,
    hook: Mutex<Option<Hook>>,
}

/// A proxy on its own port. Ends on drop.
pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    pub(crate) async fn start(upstream: &str, http: &reqwest::Client, gate: &Arc<Gate>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (upstream, http, gate) = (upstream.to_owned(), http.clone(), gate.clone());
        let shared = Arc::new(Shared { upstream, http, gate, hook: Mutex::default() });
        let server = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { url, shared, server })
    }

    /// Shows each further request to this function.
    pub(crate) fn hook(&self, hook: impl FnMut(&Call) -> Verdict + Send + 'static) {
        *self.shared.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hook));
    }

    pub(crate) fn unhook(&self) {
        *self.shared.hook.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        let service = hyper::service::service_fn(move |request| handle(shared.clone(), request));
        // An error is a broken connection, which its client sees too.
        tokio::spawn(async move {
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Errors close the connection, as a crashed server does.
async fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> std::result::Result<Response<reqwest::Body>, BoxedError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let uri = &parts.uri;
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let mut call = Call { method: parts.method, path, query, body, answered: None };
    shared.gate.pass().await;
    match shared.ask(&call) {
        Verdict::Pass => {}
        Verdict::Answer { status, retry_after } => return answer(status, retry_after),
        Verdict::CutOff => std::future::pending().await,
    }
    let target = uri.path_and_query().map_or("/", |it| it.as_str());
    let sent = shared
        .http
        .request(call.method.clone(), format!("{}{target}", shared.upstream))
        .headers(forwarded(parts.headers))
        .body(call.body.clone());
    let answered: Response<reqwest::Body> = sent.send().await?.into();
    call.answered = Some(answered.status().as_u16());
    match shared.ask(&call) {
        Verdict::Pass => {}
        Verdict::Answer { status, retry_after } => return answer(status, retry_after),
        Verdict::CutOff => {}
    }
    let (mut parts, body) = answered.into_parts();
    parts.headers = forwarded(parts.headers);
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    Ok(response)
}

impl Shared {
    /// One lock for both steps, so that no request passes the gate while it closes.
    fn ask(&self, call: &Call) -> Verdict {
        let mut hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        if call.answered.is_none() && self.gate.is_closed() {
            return Verdict::CutOff;
        }
        let verdict = hook.as_mut().map_or(Verdict::Pass, |hook| hook(call));
        if matches!(verdict, Verdict::CutOff) {
            self.gate.close();
        }
        verdict
    }
}

/// Keeps the headers that describe the content, not the connection.
fn forwarded(mut headers: HeaderMap) -> HeaderMap {
    for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

fn answer(status: u16, retry_after: Option<u64>) -> std::result::Result<Response<reqwest::Body>, BoxedError> {
    let mut response = Response::builder().status(status);
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    Ok(response.body(reqwest::Body::from("refused for a trial"))?)
}

impl Call {
    /// Whether the request writes and is not a dry run.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self.method, Method::PATCH | Method::POST | Method::PUT | Method::DELETE) && !self.is_dry_run()
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.query.contains("dryRun=All")
    }

    /// Whether the request is about the agent's own records: inventories, watermark, Lease, namespace.
    pub(crate) fn is_record(&self) -> bool {
        self.path.contains("/namespaces/brokkr-system")
    }

    /// Whether the response is a success.
    pub(crate) fn succeeded(&self) -> bool {
        self.answered.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether the request writes an object of a stack and is not forwarded yet.
    pub(crate) fn writes_member(&self) -> bool {
        self.is_write() && !self.is_record()
    }
}

/// Repeats a check until it is true or the time limit passes.
pub(crate) async fn eventually<F: Future<Output = Result<bool>>>(
    within: Duration,
    mut look: impl FnMut() -> F,
) -> Result<bool> {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        if look().await? {
            return Ok(true);
        }
        if tokio::time::Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
