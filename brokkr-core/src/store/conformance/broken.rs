//! Deliberately broken stores, each of which the suite must detect.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use crate::model::Version;
use crate::model::{
    AgentEvent, AgentId, AgentSession, ApiKey, Assignment, AuditId, AuditRecord, DeploymentObject, DeploymentObjectId,
    EventId, GeneratorId, InstanceId, KeyId, KeyOwner, Name, Quota, Revision, Stack, StackId, StackProgress,
    StackStatus, Target, Timestamp,
};
use crate::store::conformance::all;
use crate::store::memory::seen::Seen;
use uuid::Uuid;

use crate::model::{Change, EntityKey, EntityKind};
use crate::store::{
    Activity, AgentReader, AssignmentReader, AuditFilter, AuditListing, AuditReader, Commit, Committed, Coordination,
    DeploymentObjectReader, EntityQuery, EntityReader, EventFilter, EventReader, FeedPage, FeedPosition,
    IdempotencyRecord, KeyReader, Lease, LeaseRecord, Listing, Maintenance, MemoryStore, Page, Precondition, Retention,
    Scope, StackReader, StackStatusReader, Store, StoreResult, TargetReader, ViewSnapshot, ViewTail, ViewToken,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Commits lose an audit record.
    AuditIncomplete,
    /// Preconditions are ignored.
    PreconditionsIgnored,
    /// A refused commit keeps the changes before the failing one.
    HalfCommits,
    /// Reads of stacks ignore the scope.
    ScopeForgotten,
    /// A page of the feed lacks its last entry.
    FeedLoses,
    /// The tail starts one transaction too early.
    TailRepeats,
    /// The tail lacks its first entity.
    TailLoses,
    /// The snapshot lacks assignments.
    SnapshotIncomplete,
    /// Reads append a line end to the content.
    ContentTouched,
    /// Subscribers are not notified of commits.
    SubscribersForgotten,
    /// A page starts one entry too late.
    ListSkips,
    /// The use of a quota lacks one.
    QuotaUnderstated,
    /// Commits under a lost lease succeed.
    FencesIgnored,
    /// Time goes back.
    TimeGoesBack,
    /// Notes on leases are lost.
    NotesForgotten,
}

const FAULTS: [Fault; 15] = [
    Fault::AuditIncomplete,
    Fault::PreconditionsIgnored,
    Fault::HalfCommits,
    Fault::ScopeForgotten,
    Fault::FeedLoses,
    Fault::TailRepeats,
    Fault::TailLoses,
    Fault::SnapshotIncomplete,
    Fault::ContentTouched,
    Fault::SubscribersForgotten,
    Fault::ListSkips,
    Fault::QuotaUnderstated,
    Fault::FencesIgnored,
    Fault::TimeGoesBack,
    Fault::NotesForgotten,
];

#[derive(Debug)]
struct Broken {
    inner: MemoryStore,
    fault: Fault,
    deaf: watch::Sender<u64>,
}

impl Broken {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn scope(&self, scope: &Scope) -> Scope {
        if self.has(Fault::ScopeForgotten) { Scope::All } else { scope.clone() }
    }
}

#[async_trait]
impl Store for Broken {
    async fn commit(&self, mut commit: Commit) -> StoreResult<Committed> {
        if self.has(Fault::AuditIncomplete) {
            commit.audit.truncate(1);
        }
        if self.has(Fault::PreconditionsIgnored) {
            commit.preconditions.clear();
        }
        if self.has(Fault::FencesIgnored) {
            commit.preconditions.retain(|it| !matches!(it, Precondition::Lease(_)));
        }
        let result = self.inner.commit(commit.clone()).await;
        if self.has(Fault::HalfCommits) && result.is_err() {
            for change in commit.changes.clone() {
                // Commit each change separately, so that valid ones persist.
                let _ = self.inner.commit(Commit { changes: vec![change], ..commit.clone() }).await;
            }
        }
        result
    }

    async fn record_attempts(&self, records: Vec<AuditRecord>) -> StoreResult<()> {
        self.inner.record_attempts(records).await
    }

    async fn record_activity(&self, activity: Activity) -> StoreResult<()> {
        self.inner.record_activity(activity).await
    }

    async fn idempotency_find(
        &self,
        actor: &str,
        key: &str,
        after: Timestamp,
    ) -> StoreResult<Option<IdempotencyRecord>> {
        self.inner.idempotency_find(actor, key, after).await
    }

    async fn idempotency_keep(&self, record: IdempotencyRecord) -> StoreResult<()> {
        self.inner.idempotency_keep(record).await
    }

    async fn quota_used(&self, generator: GeneratorId, quota: Quota) -> StoreResult<u64> {
        let used = self.inner.quota_used(generator, quota).await?;
        Ok(if self.has(Fault::QuotaUnderstated) { used.saturating_sub(1) } else { used })
    }

    async fn feed(&self, scope: &Scope, after: FeedPosition, limit: usize) -> StoreResult<FeedPage> {
        let mut page = self.inner.feed(scope, after, limit).await?;
        if self.has(Fault::FeedLoses) && page.entries.len() > 1 {
            page.entries.pop();
        }
        Ok(page)
    }

    async fn view_snapshot(&self) -> StoreResult<ViewSnapshot> {
        let mut snapshot = self.inner.view_snapshot().await?;
        if self.has(Fault::SnapshotIncomplete) {
            snapshot.entities.retain(|it| !matches!(it, crate::model::Change::Assignment(_)));
        }
        Ok(snapshot)
    }

    async fn view_tail(&self, token: &ViewToken) -> StoreResult<ViewTail> {
        let mut token = token.clone();
        if self.has(Fault::TailRepeats) {
            let commits = token.moment::<Seen>().map_or(0, |seen| seen.commits.saturating_sub(1));
            token = ViewToken::new(token.epoch(), token.generation(), Seen { commits });
        }
        let mut tail = self.inner.view_tail(&token).await?;
        if self.has(Fault::TailLoses) && !tail.entities.is_empty() {
            tail.entities.remove(0);
        }
        if self.has(Fault::TimeGoesBack) {
            tail.now = tail.now.minus(Duration::from_secs(1));
        }
        Ok(tail)
    }
}

#[async_trait]
impl Coordination for Broken {
    async fn lease_take(&self, name: &str, holder: InstanceId, valid_for: Duration) -> StoreResult<Option<Lease>> {
        self.inner.lease_take(name, holder, valid_for).await
    }

    async fn lease_release(&self, name: &str, holder: InstanceId) -> StoreResult<()> {
        self.inner.lease_release(name, holder).await
    }

    async fn lease_note(&self, name: &str, note: Value) -> StoreResult<()> {
        if self.has(Fault::NotesForgotten) {
            return Ok(());
        }
        self.inner.lease_note(name, note).await
    }

    async fn lease_list(&self) -> StoreResult<Vec<LeaseRecord>> {
        self.inner.lease_list().await
    }

    async fn secret(&self) -> StoreResult<[u8; 32]> {
        self.inner.secret().await
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        if self.has(Fault::SubscribersForgotten) { self.deaf.subscribe() } else { self.inner.subscribe() }
    }
}

#[async_trait]
impl Maintenance for Broken {
    async fn purge(&self, keep: &Retention) -> StoreResult<u64> {
        self.inner.purge(keep).await
    }

    async fn check(&self) -> StoreResult<()> {
        self.inner.check().await
    }
}

macro_rules! delegate {
    ($reader:ident { $($method:ident($($argument:ident: $type:ty),*) -> $output:ty;)* }) => {
        #[async_trait]
        impl $reader for Broken {
            $(async fn $method(&self, scope: &Scope $(, $argument: $type)*) -> StoreResult<$output> {
                self.inner.$method(scope $(, $argument)*).await
            })*
        }
    };
}

delegate!(KeyReader {
    key_list(owners: &[KeyOwner], page: &Page<KeyId>) -> Listing<ApiKey, KeyId>;
    key_last_used(ids: &[KeyId]) -> Vec<(KeyId, Timestamp)>;
});
delegate!(AgentReader {
    agent_session(id: AgentId) -> Option<AgentSession>;
    agent_capabilities(ids: &[AgentId]) -> Vec<(AgentId, BTreeSet<String>)>;
    agent_last_seen(ids: &[AgentId]) -> Vec<(AgentId, Timestamp)>;
});
delegate!(TargetReader {
    target_find(stack: StackId, agent: AgentId) -> Option<Target>;
    target_list(stack: StackId, environment: Option<&Name>, page: &Page<AgentId>) -> Listing<Target, AgentId>;
});
delegate!(AssignmentReader {
    assignment_find(agent: AgentId, stacks: &[StackId]) -> Vec<Assignment>;
    assignment_of_stack(stack: StackId) -> Vec<Assignment>;
});
delegate!(StackStatusReader {
    stack_status_find(agent: AgentId, stacks: &[StackId]) -> Vec<StackStatus>;
    stack_status_of_stack(stack: StackId, agents: &[AgentId]) -> Vec<StackStatus>;
    stack_progress(stack: StackId) -> Vec<StackProgress>;
});
delegate!(EventReader {
    event_list(filter: &EventFilter, page: &Page<(Timestamp, EventId)>) -> Listing<AgentEvent, (Timestamp, EventId)>;
    event_known(agent: AgentId, ids: &[EventId]) -> Vec<EventId>;
});
delegate!(AuditReader {
    audit_list(filter: &AuditFilter, page: &Page<(Timestamp, AuditId)>) -> AuditListing;
});

#[async_trait]
impl EntityReader for Broken {
    async fn entity_get(&self, scope: &Scope, key: EntityKey) -> StoreResult<Change> {
        self.inner.entity_get(&self.scope(scope), key).await
    }

    async fn entity_version(&self, key: EntityKey) -> StoreResult<Option<Version>> {
        self.inner.entity_version(key).await
    }

    async fn entity_list(
        &self,
        scope: &Scope,
        kind: EntityKind,
        query: &EntityQuery,
        page: &Page<Uuid>,
    ) -> StoreResult<Listing<Change, Uuid>> {
        let mut listing = self.inner.entity_list(scope, kind, query, page).await?;
        if self.has(Fault::ListSkips) && page.after.is_some() && !listing.items.is_empty() {
            listing.items.remove(0);
        }
        Ok(listing)
    }
}

#[async_trait]
impl StackReader for Broken {
    async fn stack_by_name(&self, scope: &Scope, generator: GeneratorId, name: &Name) -> StoreResult<Stack> {
        self.inner.stack_by_name(scope, generator, name).await
    }

    async fn stack_find_with_tombstones(&self, scope: &Scope, ids: &[StackId]) -> StoreResult<Vec<Stack>> {
        self.inner.stack_find_with_tombstones(scope, ids).await
    }
}

#[async_trait]
impl DeploymentObjectReader for Broken {
    async fn deployment_object_content(
        &self,
        scope: &Scope,
        id: DeploymentObjectId,
    ) -> StoreResult<(DeploymentObject, Bytes)> {
        let (object, content) = self.inner.deployment_object_content(scope, id).await?;
        let touched = || Bytes::from([&content[..], b"\n"].concat());
        Ok((object, if self.has(Fault::ContentTouched) { touched() } else { content }))
    }

    async fn deployment_object_latest(&self, scope: &Scope, stack: StackId) -> StoreResult<Option<DeploymentObject>> {
        self.inner.deployment_object_latest(scope, stack).await
    }

    async fn deployment_object_by_revision(
        &self,
        scope: &Scope,
        stack: StackId,
        revision: Revision,
    ) -> StoreResult<DeploymentObject> {
        self.inner.deployment_object_by_revision(scope, stack, revision).await
    }

    async fn deployment_object_list(
        &self,
        scope: &Scope,
        stack: StackId,
        page: &Page<Revision>,
    ) -> StoreResult<Listing<DeploymentObject, Revision>> {
        self.inner.deployment_object_list(scope, stack, page).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_store_is_detected() {
    for fault in FAULTS {
        let mut detected = Vec::new();
        for check in all() {
            let store = Arc::new(Broken { inner: MemoryStore::new(), fault, deaf: watch::Sender::new(0) });
            // A check that times out has detected the fault too.
            let run = tokio::spawn(tokio::time::timeout(std::time::Duration::from_secs(3), (check.run)(store)));
            if !matches!(run.await, Ok(Ok(()))) {
                detected.push(check.name);
            }
        }
        assert!(!detected.is_empty(), "no check detects {fault:?}");
    }
}
