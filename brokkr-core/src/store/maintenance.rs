//! Retention, metrics and health of a store.

use std::time::Duration;

use async_trait::async_trait;

use crate::store::StoreResult;

/// How long a store keeps records that accumulate. `None`, the default, keeps them indefinitely.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// The minimum age at which agent events may be dropped.
    pub events: Option<Duration>,
    /// The minimum age at which audit records may be dropped.
    pub audit: Option<Duration>,
    /// The minimum age at which changes may be dropped. A subscriber that falls further behind must start again from a
    /// snapshot.
    pub changes: Option<Duration>,
}

/// The part of a store that serves its operation.
#[async_trait]
pub trait Maintenance {
    /// Drops one batch of records that are older than `keep` allows, and of forgotten [idempotency
    /// records](crate::store::IdempotencyRecord). Returns the number of dropped rows; call it again until it returns 0.
    ///
    /// A store with longer retention of its own may keep records that `keep` would drop. Dropping events and audit
    /// records leaves an audit record.
    async fn purge(&self, keep: &Retention) -> StoreResult<u64>;

    /// Updates the store's gauges through the `metrics` facade. The broker calls it before each scrape. Default: does
    /// nothing.
    async fn observe(&self) {}

    /// Checks that the store can serve requests now, for readiness probes.
    async fn check(&self) -> StoreResult<()>;
}
