//! The order to stop, from the terminal or the supervisor.

/// Resolves on SIGINT (Ctrl-C) or SIGTERM: the usual argument of [`Server::run`](super::Server::run).
///
/// On systems without these signals it resolves on what ends a console program there.
pub async fn shutdown_signal() {
    tokio::select! {
        // Without a handler the signal ends the process by itself.
        Ok(()) = tokio::signal::ctrl_c() => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
