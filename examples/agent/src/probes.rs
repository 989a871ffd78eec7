//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use brokkr_agent_runtime::Probe;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Interval of the recorder's upkeep; without it memory grows between two scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the metrics recorder.
pub(crate) fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new().install_recorder()
}

/// Serves probes and metrics until stopped. Before `probe` is set, the agent is alive and not ready. A failure is only logged: the
/// agent works without them.
pub(crate) async fn serve(
    listen: String,
    probe: Arc<OnceLock<Probe>>,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) {
    let listener = match TcpListener::bind(&listen).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(
                %listen, %error,
                "cannot serve probes and metrics; set another address with --listen or BROKKR__AGENT__LISTEN"
            );
            return;
        }
    };
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    let ready = move || async move {
        if probe.get().is_some_and(Probe::is_ready) {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    };
    let routes = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(move || async move { metrics.render() }));
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the server for probes and metrics has stopped");
    }
}
