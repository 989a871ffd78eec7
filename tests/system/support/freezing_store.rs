//! A store whose process freezes at a chosen commit, as if the machine was suspended, and thaws later.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use brokkr_core::model::{
    AgentEvent, AgentId, AgentSession, ApiKey, Assignment, AuditId, AuditRecord, Change, DeploymentObject,
    DeploymentObjectId, EntityKey, EntityKind, EventId, GeneratorId, InstanceId, KeyId, KeyOwner, Name, Quota,
    Revision, Stack, StackId, StackProgress, StackStatus, Target, Timestamp, Version,
};
use brokkr_core::store::{
    Activity, AgentReader, AssignmentReader, AuditFilter, AuditListing, AuditReader, Commit, Committed, Coordination,
    DeploymentObjectReader, EntityQuery, EntityReader, EventFilter, EventReader, FeedPage, FeedPosition,
    IdempotencyRecord, KeyReader, Lease, LeaseRecord, Listing, Maintenance, Page, Precondition, Retention, Scope,
    StackReader, StackStatusReader, Store, StoreError, StoreResult, TargetReader, ViewSnapshot, ViewTail, ViewToken,
};
use bytes::Bytes;
use serde_json::Value;
use sqlx::types::Uuid;
use tokio::sync::watch;

/// On which side of a commit the process freezes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

/// A store that freezes at one of the commits under a lease.
#[derive(Debug)]
pub(crate) struct FreezingStore {
    inner: Arc<dyn Store>,
    /// The lease, the commits under it that pass before, and the side.
    plan: Mutex<Option<(&'static str, usize, Side)>>,
    frozen: watch::Sender<bool>,
    fenced: Arc<AtomicUsize>,
}

impl FreezingStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, plan: Mutex::default(), frozen: watch::Sender::new(false), fenced: Arc::default() }
    }

    /// Freezes at the commit after `passing` others under the lease.
    pub(crate) fn freeze_at(&self, lease: &'static str, passing: usize, side: Side) {
        *self.plan.lock().unwrap() = Some((lease, passing, side));
    }

    pub(crate) fn is_frozen(&self) -> bool {
        *self.frozen.borrow()
    }

    /// Lets everything continue, and freezes no more.
    pub(crate) fn thaw(&self) {
        *self.plan.lock().unwrap() = None;
        self.frozen.send_replace(false);
    }

    /// The commits that were refused because their lease was lost.
    pub(crate) fn fenced(&self) -> usize {
        self.fenced.load(Ordering::SeqCst)
    }

    /// Waits while the process is frozen.
    async fn awake(&self) -> &dyn Store {
        let _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
        &*self.inner
    }

    /// The side on which this commit freezes.
    fn freezes(&self, commit: &Commit) -> Option<Side> {
        let mut plan = self.plan.lock().unwrap();
        let (lease, passing, side) = plan.as_mut()?;
        let is_under = |it: &Precondition| matches!(it, Precondition::Lease(fence) if fence.name == *lease);
        if !commit.preconditions.iter().any(is_under) {
            return None;
        }
        if *passing > 0 {
            *passing -= 1;
            return None;
        }
        let side = *side;
        *plan = None;
        Some(side)
    }
}

#[async_trait]
impl Store for FreezingStore {
    async fn commit(&self, commit: Commit) -> StoreResult<Committed> {
        let side = self.freezes(&commit);
        if side == Some(Side::Before) {
            self.frozen.send_replace(true);
        }
        // On its way: it arrives after the thaw even if the caller has given up meanwhile.
        let (inner, fenced, mut frozen) = (self.inner.clone(), self.fenced.clone(), self.frozen.subscribe());
        let arriving = tokio::spawn(async move {
            let _ = frozen.wait_for(|frozen| !frozen).await;
            let result = inner.commit(commit).await;
            if matches!(result, Err(StoreError::Fenced(_))) {
                fenced.fetch_add(1, Ordering::SeqCst);
            }
            result
        });
        let result = arriving.await.unwrap();
        if side == Some(Side::After) {
            self.frozen.send_replace(true);
            self.awake().await;
        }
        result
    }

    async fn record_attempts(&self, records: Vec<AuditRecord>) -> StoreResult<()> {
        self.awake().await.record_attempts(records).await
    }

    async fn record_activity(&self, activity: Activity) -> StoreResult<()> {
        self.awake().await.record_activity(activity).await
    }

    async fn idempotency_find(
        &self,
        actor: &str,
        key: &str,
        after: Timestamp,
    ) -> StoreResult<Option<IdempotencyRecord>> {
        self.awake().await.idempotency_find(actor, key, after).await
    }

    async fn idempotency_keep(&self, record: IdempotencyRecord) -> StoreResult<()> {
        self.awake().await.idempotency_keep(record).await
    }

    async fn quota_used(&self, generator: GeneratorId, quota: Quota) -> StoreResult<u64> {
        self.awake().await.quota_used(generator, quota).await
    }

    async fn feed(&self, scope: &Scope, after: FeedPosition, limit: usize) -> StoreResult<FeedPage> {
        self.awake().await.feed(scope, after, limit).await
    }

    async fn view_snapshot(&self) -> StoreResult<ViewSnapshot> {
        self.awake().await.view_snapshot().await
    }

    async fn view_tail(&self, token: &ViewToken) -> StoreResult<ViewTail> {
        self.awake().await.view_tail(token).await
    }
}

#[async_trait]
impl Coordination for FreezingStore {
    async fn lease_take(&self, name: &str, holder: InstanceId, valid_for: Duration) -> StoreResult<Option<Lease>> {
        self.awake().await.lease_take(name, holder, valid_for).await
    }

    async fn lease_release(&self, name: &str, holder: InstanceId) -> StoreResult<()> {
        self.awake().await.lease_release(name, holder).await
    }

    async fn lease_note(&self, name: &str, note: Value) -> StoreResult<()> {
        self.awake().await.lease_note(name, note).await
    }

    async fn lease_list(&self) -> StoreResult<Vec<LeaseRecord>> {
        self.awake().await.lease_list().await
    }

    async fn secret(&self) -> StoreResult<[u8; 32]> {
        self.awake().await.secret().await
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.subscribe()
    }
}

#[async_trait]
impl Maintenance for FreezingStore {
    async fn purge(&self, keep: &Retention) -> StoreResult<u64> {
        self.awake().await.purge(keep).await
    }

    async fn check(&self) -> StoreResult<()> {
        self.awake().await.check().await
    }
}

macro_rules! delegate {
    ($reader:ident { $($method:ident($($argument:ident: $type:ty),*) -> $output:ty;)* }) => {
        #[async_trait]
        impl $reader for FreezingStore {
            $(async fn $method(&self, scope: &Scope $(, $argument: $type)*) -> StoreResult<$output> {
                self.awake().await.$method(scope $(, $argument)*).await
            })*
        }
    };
}

#[async_trait]
impl EntityReader for FreezingStore {
    async fn entity_get(&self, scope: &Scope, key: EntityKey) -> StoreResult<Change> {
        self.awake().await.entity_get(scope, key).await
    }

    async fn entity_list(
        &self,
        scope: &Scope,
        kind: EntityKind,
        query: &EntityQuery,
        page: &Page<Uuid>,
    ) -> StoreResult<Listing<Change, Uuid>> {
        self.awake().await.entity_list(scope, kind, query, page).await
    }

    async fn entity_version(&self, key: EntityKey) -> StoreResult<Option<Version>> {
        self.awake().await.entity_version(key).await
    }
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
delegate!(StackReader {
    stack_by_name(generator: GeneratorId, name: &Name) -> Stack;
    stack_find_with_tombstones(ids: &[StackId]) -> Vec<Stack>;
});
delegate!(DeploymentObjectReader {
    deployment_object_content(id: DeploymentObjectId) -> (DeploymentObject, Bytes);
    deployment_object_latest(stack: StackId) -> Option<DeploymentObject>;
    deployment_object_by_revision(stack: StackId, revision: Revision) -> DeploymentObject;
    deployment_object_list(stack: StackId, page: &Page<Revision>) -> Listing<DeploymentObject, Revision>;
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
