//! Warns before the last admin key expires.

use std::time::Duration;

use crate::broker::Broker;

/// Interval of the warning.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Logs at the start and daily if no admin key is usable, or none soon, until the broker stops.
pub(crate) async fn admin_keys(broker: Broker) {
    let stopping = broker.parts.stopping.clone();
    loop {
        broker.warn_of_lost_access();
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
