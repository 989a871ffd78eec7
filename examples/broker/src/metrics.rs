//! Records metrics and serves them.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use brokkr_control::Broker;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Interval of the recorder's upkeep, which folds durations into buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// Histogram bucket limits, in seconds.
const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Installs the metrics recorder.
pub(crate) fn install() -> Result<PrometheusHandle, Box<dyn Error>> {
    let metrics = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
    let upkeep = metrics.clone();
    // Without upkeep the recorder's memory grows between two scrapes.
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(metrics)
}

/// The route `/metrics`.
pub(crate) fn router(broker: Broker, metrics: PrometheusHandle) -> Router {
    brokkr_http::server::metrics_router(broker, move || metrics.render())
}
