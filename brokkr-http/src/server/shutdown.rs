//! Stop signals of the operating system.

/// Resolves on SIGINT (Ctrl-C) or SIGTERM: the usual argument of [`Server::run`](super::Server::run).
///
/// On systems without these signals it resolves on their console equivalent of Ctrl-C.
pub async fn shutdown_signal() {
    tokio::select! {
        // If the handler cannot be installed, the signal's default action ends the process.
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
