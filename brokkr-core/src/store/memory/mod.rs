//! A store in memory, for tests, demonstrations and hosts that do not need to keep state.

mod answers;
mod entities;
mod quotas;
mod read;
pub(in crate::store) mod seen;
mod sees;
mod state;
mod upkeep;

use std::fmt;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;
use seen::Seen;
use serde_json::Value;
use state::State;
use tokio::sync::watch;

use crate::clock::{Clock, IntoClock, SystemClock};
use crate::model::{AuditRecord, Epoch, GeneratorId, InstanceId, Quota, Timestamp};
use crate::store::{
    Activity, Commit, Committed, Coordination, FeedPage, FeedPosition, IdempotencyRecord, Lease, LeaseRecord,
    Maintenance, Retention, Scope, Store, StoreError, StoreResult, ViewSnapshot, ViewTail, ViewToken,
};

/// A store in memory. Its data is lost when it is dropped.
///
/// Every instance is a history of its own, with its own [`Epoch`]. The feed keeps the last 100,000 changes; older
/// positions are [`Expired`](StoreError::Expired). Events and audit records stay until [`purge`](Maintenance::purge)
/// drops them.
pub struct MemoryStore {
    epoch: Epoch,
    secret: [u8; 32],
    state: RwLock<State>,
    clock: Arc<dyn Clock>,
    commits: watch::Sender<u64>,
}

impl MemoryStore {
    /// Creates an empty store with the operating system's clock.
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// Creates an empty store with this clock, which is the time of every broker on it. Leases end by tokio's clock.
    pub fn with_clock(clock: impl IntoClock) -> Self {
        let clock = clock.into_clock();
        let mut secret = [0; 32];
        // Ignore a failure: the secret signs data of this process only, and without randomness no API key can be
        // created either.
        let _ = getrandom::fill(&mut secret);
        let number = u64::try_from(SystemClock.now().as_micros()).unwrap_or(1).max(1);
        let state = RwLock::new(State::new(number));
        Self { epoch: Epoch::generate(), secret, state, clock, commits: watch::Sender::new(0) }
    }

    // No code panics while it holds the lock. Even if it did, `State` applies a commit only after all checks, so the
    // data behind a poisoned lock is consistent.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, commit: Commit) -> StoreResult<Committed> {
        commit.validate()?;
        let transaction = {
            let mut state = self.write();
            state.check(&commit)?;
            state.apply(commit)
        };
        self.commits.send_replace(transaction.transaction);
        Ok(Committed { position: transaction })
    }

    async fn record_attempts(&self, records: Vec<AuditRecord>) -> StoreResult<()> {
        self.write().add_audit(records);
        Ok(())
    }

    async fn record_activity(&self, activity: Activity) -> StoreResult<()> {
        self.write().touch(activity);
        Ok(())
    }

    async fn idempotency_find(
        &self,
        actor: &str,
        key: &str,
        after: Timestamp,
    ) -> StoreResult<Option<IdempotencyRecord>> {
        Ok(self.read().answers.find(actor, key).filter(|record| record.at > after))
    }

    async fn idempotency_keep(&self, record: IdempotencyRecord) -> StoreResult<()> {
        let mut state = self.write();
        state.answers.check(&record)?;
        state.answers.keep(record);
        Ok(())
    }

    async fn quota_used(&self, generator: GeneratorId, quota: Quota) -> StoreResult<u64> {
        Ok(self.read().quota_used(generator, quota))
    }

    async fn feed(&self, scope: &Scope, after: FeedPosition, limit: usize) -> StoreResult<FeedPage> {
        self.read().feed(scope, after, limit)
    }

    async fn view_snapshot(&self) -> StoreResult<ViewSnapshot> {
        let mut state = self.write();
        let now = state.time(self.clock.now());
        Ok(ViewSnapshot { entities: state.view_entities(), token: state.token(self.epoch), now })
    }

    async fn view_tail(&self, token: &ViewToken) -> StoreResult<ViewTail> {
        let seen = token.moment::<Seen>().filter(|_| token.epoch() == self.epoch).ok_or(StoreError::Expired)?;
        let mut state = self.write();
        let now = state.time(self.clock.now());
        let entities = state
            .changes_since(seen.commits + 1)?
            .filter(|entry| entry.change.key().kind().is_in_view())
            .map(|entry| entry.change.clone())
            .collect();
        Ok(ViewTail { entities, token: state.token(self.epoch), now })
    }
}

#[async_trait]
impl Coordination for MemoryStore {
    async fn lease_take(&self, name: &str, holder: InstanceId, valid_for: Duration) -> StoreResult<Option<Lease>> {
        Ok(self.write().take_lease(name, holder, valid_for))
    }

    async fn lease_release(&self, name: &str, holder: InstanceId) -> StoreResult<()> {
        self.write().release_lease(name, holder);
        Ok(())
    }

    async fn lease_note(&self, name: &str, note: Value) -> StoreResult<()> {
        self.write().note_lease(name, note);
        Ok(())
    }

    async fn lease_list(&self) -> StoreResult<Vec<LeaseRecord>> {
        Ok(self.read().list_leases())
    }

    async fn secret(&self) -> StoreResult<[u8; 32]> {
        Ok(self.secret)
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }
}

#[async_trait]
impl Maintenance for MemoryStore {
    async fn purge(&self, keep: &Retention) -> StoreResult<u64> {
        Ok(self.write().purge(keep, self.clock.now()))
    }

    async fn check(&self) -> StoreResult<()> {
        Ok(())
    }
}
