//! Keeping a store in order.

use std::time::Duration;

use async_trait::async_trait;

use crate::store::StoreResult;

/// How long what grows is kept; `None` is for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Agent events.
    pub events: Option<Duration>,
    /// Audit records.
    pub audit: Option<Duration>,
    /// Changes: how far behind a subscriber may fall.
    pub changes: Option<Duration>,
}

/// What a broker asks of a store besides reading and writing.
#[async_trait]
pub trait Maintenance {
    /// Drops some of what is older than it is kept, and of answers that [`idempotency_find`](crate::store::Store::idempotency_find) would not
    /// give any more, and records that it did; how many rows. Zero when there is nothing more to drop. A store may keep things
    /// for longer, and refuse less than it was made with; then it has dropped the rest all the same.
    async fn purge(&self, keep: &Retention) -> StoreResult<u64>;

    /// Brings the gauges of the store's own up to date, through the `metrics` facade. Called when they are about to be read.
    async fn observe(&self) {}

    /// Whether the store can serve right now.
    async fn check(&self) -> StoreResult<()>;
}
