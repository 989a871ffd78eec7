//! Serving a router on a listener: bounded in connections, and in the time that a slow client may take.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use brokkr_core::model::limits;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

use super::patience::Patience;

/// The pause after the system refused a connection for want of something, such as file descriptors.
const BREATH: Duration = Duration::from_millis(100);
/// How often a connection that sends its first bytes one by one is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves until `stop` resolves; then takes no new connections and gives the others `grace` to end. Holds at most `connections`.
pub(super) async fn serve(
    connections: usize,
    grace: Duration,
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    let (serving, stopped) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
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
                tracing::warn!(%error, "cannot take a connection now");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        // A poll's answer is one small packet; waiting for more would only delay it.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let watcher = graceful.watcher();
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let _place = place;
            let patience = Duration::from_secs(limits::REQUEST_HEAD_SECONDS);
            let first = tokio::select! {
                first = tokio::time::timeout(patience, speaks_http2(&stream)) => first,
                // Who has sent nothing yet loses nothing.
                _ = stopped.changed() => return,
            };
            let Ok(Ok(is_http2)) = first else {
                return;
            };
            let service = router.map_request(move |mut request: http::Request<_>| {
                request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
                request.map(Body::new)
            });
            let builder = builder(is_http2, patience);
            let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
            // How a client breaks off is its own affair.
            let _ = watcher.watch(connection.into_owned()).await;
        });
    }
    drop((listener, serving));
    let _ = tokio::time::timeout(grace, graceful.shutdown()).await;
    Ok(())
}

fn builder(is_http2: bool, patience: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(Patience::new()).header_read_timeout(patience);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(patience)
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION);
    // Decided here: the builder's own look at the first bytes has no end.
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}

/// Whether the first bytes are those of HTTP/2. An error when the client leaves before they tell.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut first).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[..count] != PREFACE[..count] {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether the error is about the connection that was to be accepted, not about accepting.
fn ends_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
