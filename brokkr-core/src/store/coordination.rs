//! What brokers on the same data agree on.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::model::InstanceId;
use crate::store::StoreResult;

/// The right to do some work, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Rises with every new holder: what was begun under a lower one is void.
    pub fencing: u64,
    /// How long it is valid, counted from the call that took it on the caller's monotonic clock.
    pub valid_for: Duration,
}

/// What brokers on the same data share beside the record: leases, a secret, and hints that something is new.
///
/// # To ensure correctness
///
/// 1. **One holder.** Between two successful calls of `lease_take` by different holders lies the end of the first one's time, or
///    its release. Each new holder gets a higher [`fencing`](Lease::fencing) number.
/// 2. **One secret.** Every instance on the same data returns the same bytes, over restarts too.
///
/// All methods are cancellation safe: a lease that was taken by a call whose future was dropped ends with its time.
#[async_trait]
pub trait Coordination {
    /// Takes a lease for a holder, or renews the holder's own; `None` while another one has it. Time is the store's.
    async fn lease_take(&self, name: &str, holder: InstanceId, valid_for: Duration) -> StoreResult<Option<Lease>>;

    /// Gives a lease back before its time; one that the holder does not have stays as it is.
    async fn lease_release(&self, name: &str, holder: InstanceId) -> StoreResult<()>;

    /// A secret that all brokers on the same data share, made when the data was. What one of them signs for itself, such as a
    /// cursor, each of them can check.
    async fn secret(&self) -> StoreResult<[u8; 32]>;

    /// A counter that moves when there may be something new: at once after a commit through this instance, soon
    /// after one elsewhere. A hint: it may move for nothing, and a reader must also look by itself from time to time.
    fn subscribe(&self) -> watch::Receiver<u64>;
}
