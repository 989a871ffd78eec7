//! The record of everything: what a store must do, an in-memory one, and the suite that proves either.

mod commit;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod coordination;
mod error;
mod ext;
mod feed;
mod maintenance;
mod memory;
mod page;
mod read;
mod scope;
mod view;
mod view_token;

use std::fmt::Debug;

use async_trait::async_trait;

pub use commit::{Activity, Commit, Committed, IdempotencyRecord, Precondition};
pub use coordination::{Coordination, Lease};
pub use error::{StoreError, UniqueKey};
pub use ext::StoreExt;
pub use feed::{FeedEntry, FeedPage, FeedPosition};
pub use maintenance::{Maintenance, Retention};
pub use memory::MemoryStore;
pub use page::{Listing, Page};
pub use read::{
    AgentReader, AssignmentReader, AuditFilter, AuditReader, DeploymentObjectReader, EntityQuery, EntityReader,
    EventFilter, EventReader, KeyReader, StackReader, StackStatusReader, TargetReader,
};
pub use scope::Scope;
pub use view::{ViewSnapshot, ViewTail};
pub use view_token::{Moment, ViewToken};

use crate::into_shared::into_shared;
use crate::model::{AuditRecord, Timestamp};

/// The result of a store's operations.
pub type StoreResult<T> = Result<T, StoreError>;

/// The record of everything that a broker knows, and the only place where state is kept.
///
/// The broker decides every value (ids, times, versions, revision numbers) *before* it commits; the store
/// checks, keeps and orders. One [`commit`](Self::commit) is one decision: its changes, its audit records and their place in
/// the feed land together or not at all. Readers are scoped: what a [`Scope`] does not include does not exist.
///
/// # To ensure correctness
///
/// 1. **Atomic.** After `commit` returned `Ok`, all of it is durable and visible to every later read through
///    any instance on the same data; after any error but [`StoreError::Unavailable`] nothing of it is. After
///    `Unavailable` either may be true; the caller reads again.
/// 2. **Versions.** A change is accepted only if its version is the stored version of its entity plus one
///    (an unknown entity has version 0). Otherwise the whole commit is [`StoreError::Conflict`]. The check
///    and the write are one step: of two commits that carry the same version of the same entity exactly one succeeds.
/// 3. **Preconditions** hold at the moment of the commit, not merely before it.
/// 4. **Unique** among living entities ([`UniqueKey`]): generator names, agent names, stack names per generator
///    (a stack that is being deleted still lives), short ids of keys (revoked ones included), revisions per stack,
///    idempotency keys per caller for [`IDEMPOTENCY_HOURS`](crate::model::limits::IDEMPOTENCY_HOURS). Of two commits
///    with one such key at the same time the second waits for the first.
///    A violation is [`StoreError::NotUnique`]. Whether one commit may move such a value from one entity to another
///    is the store's choice.
/// 5. **Immutable**: deployment objects, events and audit records are never changed, whatever is committed.
/// 6. **Scope** is part of the query: a row outside of the scope is [`StoreError::NotFound`] or missing from the list,
///    exactly as if it did not exist.
/// 7. **Feed**: every change of every commit exactly once, in an order in which a change never precedes what
///    its commit could see, nor who takes a unique name the one that gave it up; a reader that goes on from the last
///    position it has seen misses nothing, however long transactions take. Of two commits that overlap in time and
///    see nothing of each other either may come first, also where one waited for what the other only relied on (a
///    precondition).
/// 8. **View**: `view_snapshot` and then `view_tail` from its token, again and again, yield every committed
///    change exactly once. Changes of one entity come in the order of their versions. A long transaction of somebody else delays
///    nothing but itself.
/// 9. **Order of lists** is total and stable: entries committed later never make a page repeat or skip an
///    entry that was there all along.
///
/// All methods are cancellation safe: a dropped future of `commit` leaves either everything or nothing.
///
/// The macro `store_conformance!` (feature `conformance`) expands to one test per duty.
#[async_trait]
pub trait Store:
    EntityReader
    + KeyReader
    + AgentReader
    + StackReader
    + DeploymentObjectReader
    + TargetReader
    + AssignmentReader
    + StackStatusReader
    + EventReader
    + AuditReader
    + Coordination
    + Maintenance
    + Debug
    + Send
    + Sync
    + 'static
{
    /// Commits one decision.
    async fn commit(&self, commit: Commit) -> StoreResult<Committed>;

    /// Records attempts that changed nothing: denied and failed ones. Unlike in a commit, order and company do
    /// not matter; the records are durable when this returns.
    async fn record_attempts(&self, records: Vec<AuditRecord>) -> StoreResult<()>;

    /// Keeps last-seen and last-used times. Telemetry, not state: no audit, no feed; older times are ignored.
    async fn record_activity(&self, activity: Activity) -> StoreResult<()>;

    /// The answer that was recorded under a caller's key after this time.
    async fn idempotency_find(
        &self,
        actor: &str,
        key: &str,
        after: Timestamp,
    ) -> StoreResult<Option<IdempotencyRecord>>;

    /// Keeps the answer to a request that needed no change, and takes its key as a commit does.
    async fn idempotency_keep(&self, record: IdempotencyRecord) -> StoreResult<()>;

    /// The changes after a position, in public order, at most `limit`. [`StoreError::Expired`] when what
    /// follows the position is no longer kept.
    async fn feed(&self, scope: &Scope, after: FeedPosition, limit: usize) -> StoreResult<FeedPage>;

    /// Everything that is needed to answer agents, and the token to go on from. The token names the history that it belongs to.
    async fn view_snapshot(&self) -> StoreResult<ViewSnapshot>;

    /// What was committed since a token was issued. [`StoreError::Expired`] when that is no longer kept, or when
    /// history has forked since; the reader then takes a new snapshot.
    async fn view_tail(&self, token: &ViewToken) -> StoreResult<ViewTail>;
}

const _: Option<&dyn Store> = None;

into_shared! {
    /// A [`Store`] by value, in an `Arc`, or as `Arc<dyn Store>`.
    IntoStore::into_store => Store
}
