//! Serves a router on a listener, with a limit on connections and timeouts for slow clients.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use brokkr_core::model::{RequestId, limits};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tower::ServiceExt as _;

use super::activity::Activity;
use super::addresses::Addresses;
use super::head_timer::HeadTimer;
use super::preface::speaks_http2;
use super::problem::Problem;
use super::proxies::TrustedProxies;
use super::tls::{Tls, TlsStream};
use super::wire::Gate;
use crate::api::{PROBLEM_JSON, ProblemType};

/// The time in which a client must send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(limits::REQUEST_HEAD_SECONDS);
/// Pause after an accept error such as exhausted file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// What a client of HTTP/2 may send of one body, and of all bodies of a connection, before a route reads it.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// While all places are taken, how often silent connections are closed, and how old they must be.
const CROWDED_INTERVAL: Duration = Duration::from_millis(500);
const SILENT_TIME: Duration = Duration::from_secs(2);
/// How long a connection may have no open request, and how long it may take to end after that.
const UNUSED_TIME: Duration = Duration::from_secs(limits::CONNECTION_UNUSED_SECONDS);
const CLOSING_TIME: Duration = Duration::from_secs(10);
/// hyper's buffer for one connection: the largest head, which the gate limits, and some more.
const READ_BUFFER: usize = limits::REQUEST_HEAD_BYTES + 1024;

/// How a listener is served.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    /// Maximum open connections.
    pub(super) connections: usize,
    /// Maximum open connections from one address.
    pub(super) per_address: usize,
    /// The time that open requests get after the stop signal.
    pub(super) grace: Duration,
    /// Their connections have no limit per address.
    pub(super) proxies: TrustedProxies,
    /// `None`: without TLS.
    pub(super) tls: Option<Arc<Tls>>,
}

/// Serves until `stop` resolves. Then it accepts no new connections and gives the open ones time to finish.
pub(super) async fn serve(
    serving: Serving,
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(serving.connections.min(Semaphore::MAX_PERMITS)));
    let addresses = Addresses::new(serving.per_address);
    let crowded = Arc::new(Notify::new());
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let place = loop {
                tokio::select! {
                    place = places.clone().acquire_owned() => break place,
                    // Connections that say nothing, or have no open request, make room for others.
                    () = tokio::time::sleep(CROWDED_INTERVAL) => crowded.notify_waiters(),
                }
            };
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if ends_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; retrying");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let is_proxy = serving.proxies.contain(peer.ip().to_canonical());
        let of_address = if is_proxy { Some(addresses.unlimited()) } else { addresses.place(peer.ip()) };
        let Some(of_address) = of_address else {
            // Within TLS a refusal would cost a handshake.
            if serving.tls.is_none() {
                tokio::spawn(refuse(stream));
            }
            continue;
        };
        // A poll's response is one small packet, which Nagle's algorithm would only delay.
        let _ = stream.set_nodelay(true);
        let (mut stopped, crowded, tls) = (stopped.clone(), crowded.clone(), serving.tls.clone());
        let router = router.clone();
        tokio::spawn(async move {
            let _places = (place, of_address);
            let first = tokio::select! {
                first = tokio::time::timeout(HEAD_TIMEOUT, opened(stream, tls)) => first,
                // The client has not sent a request yet, so closing loses nothing.
                _ = stopped.changed() => return,
                () = async {
                    tokio::time::sleep(SILENT_TIME).await;
                    crowded.notified().await;
                } => return,
            };
            let connection = Connection { router, peer, activity: Activity::new(), crowded, stopped };
            match first {
                Ok(Ok(Opened::Plain(stream, is_http2))) => connection.serve(stream, is_http2).await,
                Ok(Ok(Opened::Tls(stream, is_http2))) => connection.serve(stream, is_http2).await,
                Ok(Err(_)) | Err(_) => {}
            }
        });
    }
    drop((listener, stopped));
    stopping.send_replace(true);
    // Each connection keeps a receiver until it ends.
    let _ = tokio::time::timeout(serving.grace, stopping.closed()).await;
    Ok(())
}

/// A connection whose client has sent its first bytes, and whether it speaks HTTP/2.
enum Opened {
    Plain(TcpStream, bool),
    Tls(TlsStream, bool),
}

async fn opened(stream: TcpStream, tls: Option<Arc<Tls>>) -> io::Result<Opened> {
    match tls {
        Some(tls) => tls.accept(stream).await.map(|(stream, is_http2)| Opened::Tls(stream, is_http2)),
        None => {
            let is_http2 = speaks_http2(&stream).await?;
            Ok(Opened::Plain(stream, is_http2))
        }
    }
}

/// What answers the requests of one connection, and when it ends.
struct Connection {
    router: Router,
    peer: SocketAddr,
    activity: Activity,
    crowded: Arc<Notify>,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, is_http2: bool) {
        let builder = builder(is_http2);
        let (router, peer, activity) = (self.router.clone(), self.peer, self.activity.clone());
        let service = tower::service_fn(move |mut request: http::Request<Incoming>| {
            let open = activity.begin();
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            let response = router.clone().oneshot(request.map(Body::new));
            async move { Ok::<_, Infallible>(open.until_taken(response.await?)) }
        });
        if is_http2 {
            self.run(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))).await;
            return;
        }
        let (gate, refused) = Gate::new(stream);
        let service = service.map_request(move |mut request: http::Request<_>| {
            if let Some(refusal) = refused.next() {
                request.extensions_mut().insert(refusal);
            }
            request
        });
        self.run(builder.serve_connection(TokioIo::new(gate), TowerToHyperService::new(service))).await;
    }

    /// Runs until the connection ends. Ends it after its open requests when the server stops, and when it has not been used or
    /// others need its place. A connection error concerns only its client.
    async fn run(mut self, connection: impl GracefulConnection) {
        let mut connection = pin!(connection);
        let is_stopping = tokio::select! {
            _ = connection.as_mut() => return,
            () = self.activity.is_unused(UNUSED_TIME, &self.crowded) => false,
            // The answer of `wait_for` is a lock.
            () = async { drop(self.stopped.wait_for(|it| *it).await) } => true,
        };
        connection.as_mut().graceful_shutdown();
        if is_stopping {
            let _ = connection.await;
            return;
        }
        // A client of HTTP/2 could leave the end unanswered, one of HTTP/1 its first request incomplete.
        while tokio::time::timeout(CLOSING_TIME, connection.as_mut()).await.is_err() {
            if self.activity.unused().is_some_and(|it| it >= CLOSING_TIME) {
                return;
            }
        }
    }
}

/// Tells a client that its address has too many connections.
async fn refuse(mut stream: TcpStream) {
    let mut problem = Problem::new(ProblemType::Overloaded).retry_after(Duration::from_secs(1)).document();
    problem.detail = Some("this address has too many open connections; close some, or reuse them".to_owned());
    problem.request_id = RequestId::generate().to_string();
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {PROBLEM_JSON}\r\nx-request-id: {}\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        problem.request_id,
        body.len(),
    );
    // Not waited for: the socket's buffer takes it, or the client is not worth the wait.
    let _ = stream.try_write(response.as_bytes());
    let _ = stream.shutdown().await;
}

fn builder(is_http2: bool) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(HeadTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(READ_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION);
    // The first bytes are checked above with a timeout: the builder's own detection has none.
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}

/// Whether the accept error concerns only the incoming connection, not the listener.
fn ends_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
