//! Writes the queued records of refused attempts and of activity.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::Parts;

/// Interval of writing attempts and activity.
const FLUSH: Duration = Duration::from_millis(250);

/// Writes attempts and activity in batches until the broker stops, then once more.
pub(crate) async fn flush(parts: Arc<Parts>) {
    loop {
        let stopping = tokio::select! {
            () = parts.stopping.cancelled() => true,
            () = tokio::time::sleep(FLUSH) => false,
        };
        let attempts = parts.attempts.take(stopping);
        if !attempts.is_empty()
            && let Err(error) = parts.store.record_attempts(attempts.values().cloned().collect()).await
        {
            tracing::warn!(%error, "cannot write audit records of refused attempts; retrying");
            parts.attempts.put_back(attempts);
        }
        if let Some(activity) = parts.activity.take()
            && let Err(error) = parts.store.record_activity(activity).await
        {
            tracing::debug!(%error, "cannot write the activity of agents and keys");
        }
        if stopping {
            return;
        }
    }
}
