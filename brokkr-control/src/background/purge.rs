//! Purges expired records.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::InstanceId;
use brokkr_core::store::Retention;

use crate::broker::Parts;

/// Interval of purging expired records.
const PURGE_INTERVAL: Duration = Duration::from_secs(10);
const PURGE_LEASE: &str = "purge";
/// Limit of batches per purge: fewer than take as long as the lease lasts.
const PURGE_BATCHES: usize = 20;

/// Purges expired records until the broker stops. A lease limits this to one broker at a time.
pub(crate) async fn purge(parts: Arc<Parts>, keep: Retention) {
    let holder = InstanceId::from(parts.entropy.uuid(parts.clock.now()));
    loop {
        tokio::select! {
            () = parts.stopping.cancelled() => break,
            () = tokio::time::sleep(PURGE_INTERVAL) => {}
        }
        match parts.store.lease_take(PURGE_LEASE, holder, 3 * PURGE_INTERVAL).await {
            Ok(Some(_)) => {}
            Ok(None) => continue,
            Err(error) => {
                tracing::debug!(%error, "cannot acquire the purge lease; retrying");
                continue;
            }
        }
        let mut all = 0;
        for _ in 0..PURGE_BATCHES {
            match parts.store.purge(&keep).await {
                Ok(0) => break,
                Ok(gone) => all += gone,
                Err(error) => {
                    tracing::warn!(%error, "cannot purge all expired records; retrying");
                    break;
                }
            }
        }
        if all > 0 {
            tracing::info!(gone = all, "purged expired records");
        }
    }
    let _ = parts.store.lease_release(PURGE_LEASE, holder).await;
}
