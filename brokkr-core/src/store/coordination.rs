//! Coordination between brokers that share one store.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

use crate::model::InstanceId;
use crate::store::StoreResult;

/// The exclusive right to do some work for a limited time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The fencing number. Each new holder gets a higher one; a renewal keeps it. Work that began under a lower number
    /// is void.
    pub fencing: u64,
    /// The duration of the lease, counted on the caller's monotonic clock from the start of the call that took it.
    pub valid_for: Duration,
}

/// What the store knows about a lease that was ever taken or noted.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseRecord {
    /// The name of the lease.
    pub name: String,
    /// The holder; `None` if the lease is free.
    pub holder: Option<InstanceId>,
    /// The fencing number of the last holder; 0 if there was none.
    pub fencing: u64,
    /// The last note; null if there is none.
    pub note: Value,
}

/// The part of a store through which brokers coordinate: leases, a shared secret, and hints about new commits.
///
/// # To ensure correctness
///
/// 1. **One holder.** A lease changes hands only after its time has passed or its holder has released it. Each new
///    holder gets a higher [`fencing`](Lease::fencing) number.
/// 2. **Renewed or lost.** A renewal that succeeds keeps the fencing number. A commit under
///    [`Precondition::Lease`](crate::store::Precondition::Lease) and a new holder exclude each other.
/// 3. **One secret.** Every instance on the same data returns the same bytes, also after restarts.
///
/// All methods are cancellation safe. If the future of `lease_take` is dropped, the lease may have been taken; it then
/// expires on its own.
#[async_trait]
pub trait Coordination {
    /// Takes the lease `name` for `holder`, or renews it if `holder` has it. Returns `None` while another holder has
    /// it. The store's clock decides when a lease ends.
    async fn lease_take(&self, name: &str, holder: InstanceId, valid_for: Duration) -> StoreResult<Option<Lease>>;

    /// Releases a lease early. Does nothing if `holder` does not have it.
    async fn lease_release(&self, name: &str, holder: InstanceId) -> StoreResult<()>;

    /// Leaves a note on the lease `name`, whoever holds it, for every other broker to read. The last note replaces the others. It
    /// is telemetry or a cursor: neither part of a commit nor in the feed.
    async fn lease_note(&self, name: &str, note: Value) -> StoreResult<()>;

    /// The leases that were ever taken or noted, by name. There are few: one for each kind of work.
    async fn lease_list(&self) -> StoreResult<Vec<LeaseRecord>>;

    /// The secret that all brokers on the same data share, generated once with the data. Every broker can verify what
    /// another one signed with it, such as a page cursor.
    async fn secret(&self) -> StoreResult<[u8; 32]>;

    /// A counter that changes when new commits may exist: immediately after a commit through this instance, soon after
    /// a commit through another one. It is a hint: it may change without a commit and may miss one, so readers must
    /// also poll at intervals.
    fn subscribe(&self) -> watch::Receiver<u64>;
}
