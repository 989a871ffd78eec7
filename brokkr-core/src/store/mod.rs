//! Storage of all broker state: the [`Store`] trait, an in-memory implementation, and the conformance suite.

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

pub use commit::{Activity, Commit, Committed, Fence, IdempotencyRecord, Precondition};
pub use coordination::{Coordination, Lease, LeaseRecord};
pub use error::{StoreError, UniqueKey};
pub use ext::StoreExt;
pub use feed::{FeedEntry, FeedPage, FeedPosition};
pub use maintenance::{Maintenance, Retention};
pub use memory::MemoryStore;
pub use page::{Listing, Page};
pub use read::{
    AgentReader, AssignmentReader, AuditFilter, AuditListing, AuditReader, DeploymentObjectReader, EntityQuery,
    EntityReader, EventFilter, EventReader, KeyReader, StackReader, StackStatusReader, TargetReader,
};
pub use scope::Scope;
pub use view::{ViewSnapshot, ViewTail};
pub use view_token::{Moment, ViewToken};

use crate::into_shared::into_shared;
use crate::model::{AuditRecord, GeneratorId, Quota, Timestamp};

/// The result of a store operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// Storage of all broker state.
///
/// The broker chooses every value (ids, times, versions, revision numbers) *before* it commits. The store checks,
/// orders and stores the values. One [`commit`](Self::commit) is one decision: its changes, its audit records and its
/// feed entries are stored together or not at all. Every read takes a [`Scope`]; entities outside of the scope do not
/// exist for the caller.
///
/// # To ensure correctness
///
/// 1. **Atomic.** After `commit` returns `Ok`, the commit is durable and visible to every later read through any
///    instance on the same data. After any error except [`StoreError::Unavailable`], nothing of it is stored. After
///    `Unavailable` either is possible; the caller reads again.
/// 2. **Versions.** A store accepts a change only if its version is the entity's stored version plus one (an unknown
///    entity has version 0). Otherwise the whole commit fails with [`StoreError::Conflict`]. Check and write are one
///    atomic step: of two commits that carry the same version of the same entity, exactly one succeeds.
/// 3. **Preconditions** are checked in the same atomic step as the write.
/// 4. **Unique** among living entities ([`UniqueKey`]): generator names, agent names, stack names per generator (a
///    stack in deletion is still living), short ids of API keys (including revoked keys), revisions per stack, and
///    idempotency keys per caller for [`IDEMPOTENCY_HOURS`](crate::model::limits::IDEMPOTENCY_HOURS). A violation is
///    [`StoreError::NotUnique`]. If two concurrent commits carry the same idempotency key, the second one waits for the
///    first. A store may accept or refuse a commit that moves a unique value from one entity to another.
/// 5. **Immutable**: no commit changes a stored deployment object, event or audit record.
/// 6. **Scope** is part of the query. A row outside of the scope is [`StoreError::NotFound`] or missing from the list,
///    exactly as if it did not exist.
/// 7. **Feed**: the feed contains every change of every commit exactly once. A change follows all changes that its
///    commit could see, and a commit that takes a unique name follows the commit that gave it up. A reader that
///    continues from its last position misses nothing, however long transactions take. Two concurrent commits that do
///    not see each other may appear in either order, even if one waited for the other because of a precondition.
/// 8. **Fence**: a commit under [`Precondition::Lease`] succeeds only while the lease has that fencing number and has not ended
///    by the store's clock, and no other holder takes the lease before the commit is visible.
/// 9. **View**: `view_snapshot`, followed by repeated `view_tail` calls with the latest token, yields every committed
///    change exactly once. Changes of one entity are in the order of their versions. A long-running transaction delays
///    only its own changes.
/// 10. **Time**: the store's time never goes back, whichever instance on the same data reads it.
/// 11. **List order** is total and stable: entries that are committed during paging never make a page repeat or skip an
///    older entry.
///
/// # Cancellation safety
///
/// All methods are cancellation safe. If the future of `commit` is dropped, the commit has happened completely or not
/// at all.
///
/// # Testing an implementation
///
/// The macro [`store_conformance!`](crate::store_conformance) (feature `conformance`) expands to tests for each of
/// these rules.
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
    /// Commits one decision atomically.
    ///
    /// # Errors
    ///
    /// [`Conflict`](StoreError::Conflict) for a stale version or a failed precondition,
    /// [`NotUnique`](StoreError::NotUnique) for a taken unique value,
    /// [`QuotaExceeded`](StoreError::QuotaExceeded) for a quota and [`Fenced`](StoreError::Fenced) for a lease among the preconditions,
    /// [`Malformed`](StoreError::Malformed) for a commit that fails [`Commit::validate`], and [`Unavailable`](StoreError::Unavailable) when the outcome is unknown.
    async fn commit(&self, commit: Commit) -> StoreResult<Committed>;

    /// Records denied and failed attempts, which change no entity. The records are durable when this returns. Unlike in
    /// a commit, their order does not matter and some may be stored without the others.
    async fn record_attempts(&self, records: Vec<AuditRecord>) -> StoreResult<()>;

    /// Records last-seen and last-used times. They are telemetry: they appear in neither audit nor feed. A time that is
    /// older than the stored one is ignored.
    async fn record_activity(&self, activity: Activity) -> StoreResult<()>;

    /// Finds the answer that was recorded under a caller's idempotency key later than `after`; `None` if there is none.
    async fn idempotency_find(
        &self,
        actor: &str,
        key: &str,
        after: Timestamp,
    ) -> StoreResult<Option<IdempotencyRecord>>;

    /// Records the answer to a request that needed no change, and takes its idempotency key as a commit does.
    ///
    /// # Errors
    ///
    /// [`NotUnique`](StoreError::NotUnique) when the key is taken.
    async fn idempotency_keep(&self, record: IdempotencyRecord) -> StoreResult<()>;

    /// A generator's present use of a quota. Answers that are forgotten but still stored may count.
    async fn quota_used(&self, generator: GeneratorId, quota: Quota) -> StoreResult<u64>;

    /// Reads at most `limit` changes after a position, in feed order.
    ///
    /// # Errors
    ///
    /// [`Expired`](StoreError::Expired) when changes after the position are no longer stored.
    async fn feed(&self, scope: &Scope, after: FeedPosition, limit: usize) -> StoreResult<FeedPage>;

    /// Reads all entities that the fleet view consists of, and the token from which [`view_tail`](Self::view_tail)
    /// continues.
    async fn view_snapshot(&self) -> StoreResult<ViewSnapshot>;

    /// Reads the changes that were committed since the token was issued.
    ///
    /// # Errors
    ///
    /// [`Expired`](StoreError::Expired) when those changes are no longer stored, or when a new epoch has begun since;
    /// take a new snapshot.
    async fn view_tail(&self, token: &ViewToken) -> StoreResult<ViewTail>;
}

const _: Option<&dyn Store> = None;

into_shared! {
    /// Conversion into a shared [`Store`]. Implemented for every `Store`, for `Arc<T>` of one, and for `Arc<dyn
    /// Store>`.
    IntoStore::into_store => Store
}
