//! Bounded waits for a condition.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

/// Timeout of waits; agents normally need milliseconds.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Poll interval of waits.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Repeats a check until it returns `Ok`, and returns its value. `what` names the condition.
///
/// ```
/// # brokkr::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use brokkr::prelude::*;
/// use brokkr::testing::{ControlPlane, eventually};
///
/// let plane = ControlPlane::start(1).await;
/// let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}});
/// plane.publish(StackSpec::named("shop"), [settings]).await;
/// let edge = &plane.agents()[0];
/// let settings = eventually("the ConfigMap exists", async || {
///     edge.object("ConfigMap", "default", "settings").ok_or_else(|| edge.cluster().objects())
/// })
/// .await;
/// assert_eq!(settings["kind"], "ConfigMap");
/// # });
/// ```
///
/// # Panics
///
/// Panics after 20 s with the last error.
pub async fn eventually<T, E: Debug>(what: &str, mut check: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match check().await {
            Ok(value) => return value,
            Err(last) => assert!(Instant::now() < deadline, "timeout after 20 s: {what}; seen last: {last:#?}"),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
