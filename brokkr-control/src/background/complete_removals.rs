//! Completes the removals of stacks that no agent has to confirm any more.

use std::time::Duration;

use crate::broker::Broker;

/// Interval of looking for such removals.
const TICK: Duration = Duration::from_millis(500);
/// Limit of stacks whose removal is completed per tick.
const REMOVALS: usize = 100;

/// Completes removals without outstanding confirmations, until the broker stops.
///
/// Reports complete removals directly. This task repairs the leftovers of crashes and of races between two last reports.
pub(crate) async fn complete_removals(broker: Broker) {
    let stopping = broker.parts.stopping.clone();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        for stack in broker.parts.view.removable(REMOVALS) {
            if let Err(error) = broker.complete_removal(&broker.system_actor(), stack).await {
                tracing::debug!(%stack, %error, "cannot complete the removal of a stack; retrying");
            }
        }
    }
}
