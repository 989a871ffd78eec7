//! Removes pins that have expired.

use std::time::Duration;

use crate::broker::Broker;

/// Interval of looking for such pins.
const TICK: Duration = Duration::from_secs(1);
/// Limit of pins that are removed per tick.
const PINS: usize = 100;

/// Removes expired pins, until the broker stops. Several brokers may try to remove the same pin; one of them does.
pub(crate) async fn expire_pins(broker: Broker) {
    let stopping = broker.parts.stopping.clone();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        for pin in broker.parts.view.expired_pins(broker.now(), PINS) {
            if let Err(error) = broker.pin_expire(&broker.system_actor(), pin.id).await {
                tracing::debug!(pin = %pin.id, %error, "cannot remove an expired pin; retrying");
            }
        }
    }
}
