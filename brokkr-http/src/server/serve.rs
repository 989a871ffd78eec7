//! Serving a router on a listener.

use std::future::IntoFuture as _;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

/// How long connections may take to end after the order to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Serves until `stop` resolves; then takes no new connections and gives the others 20 s to end.
///
/// End waiting polls by [`Broker::shutdown`](brokkr_core::broker::Broker::shutdown) at the same time.
///
/// # Errors
///
/// What the listener reports when it cannot accept connections any more.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // A poll's answer is one small packet; waiting for more would only delay it.
        let _ = connection.set_nodelay(true);
    });
    let (stopping, mut stopped) = tokio::sync::watch::channel(false);
    let server = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>());
    let server = server.with_graceful_shutdown(async move {
        stop.await;
        stopping.send_replace(true);
    });
    tokio::select! {
        result = server.into_future() => result,
        () = async {
            // The sender lives as long as the server: an error here means that it ended by itself.
            let _ = stopped.wait_for(|stopped| *stopped).await;
            tokio::time::sleep(GRACE).await;
        } => Ok(()),
    }
}
