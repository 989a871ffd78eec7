//! Records metrics, and binds the address at which they are served.

use std::error::Error;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

/// The default address: other machines do not reach it.
const LISTEN: &str = "127.0.0.1:9090";
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

/// Binds the address of the metrics; `None` for an empty one. The default address may be in use, as by another broker on this
/// machine: then there are no metrics.
pub(crate) async fn listener(chosen: Option<&str>) -> Result<Option<TcpListener>, String> {
    match chosen {
        Some("") => Ok(None),
        Some(address) => match TcpListener::bind(address).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => Err(format!("cannot serve metrics on {address}: {error}")),
        },
        None => match TcpListener::bind(LISTEN).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "no metrics, because {LISTEN} is not available; choose an address with --metrics-listen or \
                     BROKKR__BROKER__METRICS_LISTEN"
                );
                Ok(None)
            }
        },
    }
}
