//! Fences stop the writes of a process that no longer leads.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::cluster::{
    ApiKind, ApplyOptions, ApplyOutcome, Cluster, ClusterError, ClusterResult, DeleteOptions, Discovery,
    ImpersonatedUser, ListMeta, ListOptions, MemoryCluster, ObjectKey, ObjectList, Patch, WatchEvent,
};

/// Decides whether this process may write to a cluster now. Clones share the decision.
#[derive(Clone)]
pub struct Fence(Arc<dyn Fn() -> bool + Send + Sync>);

impl Fence {
    /// Creates a fence that is open while `may_write` returns true. The cluster calls `may_write` before each write, so
    /// it must not block.
    pub fn new(may_write: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(may_write))
    }

    /// Whether the fence is open now.
    pub fn may_write(&self) -> bool {
        (self.0)()
    }

    /// Returns `Ok` if the fence is open.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Fenced`] if the fence is closed.
    pub fn check(&self) -> ClusterResult<()> {
        if self.may_write() { Ok(()) } else { Err(ClusterError::Fenced) }
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").field("may_write", &self.may_write()).finish()
    }
}

/// A cluster that supports a [`Fence`].
///
/// # Contract
///
/// 1. While the fence is open, the fenced cluster behaves like the cluster itself.
/// 2. While the fence is closed, no write reaches the server, and each write returns [`ClusterError::Fenced`].
/// 3. The implementation checks the fence **as late as possible**. The operating system may suspend a process between the
///    check and the write, and resume it minutes later. Where requests pass through queues, check where the bytes leave
///    the process.
///
/// # Examples
///
/// If a call takes effect without queues, or a check before each call is enough, [`FencedCluster`] is the whole
/// implementation:
///
/// ```
/// # use std::sync::Arc;
/// use brokkr_reconcile::cluster::{Cluster, Fence, Fenceable, FencedCluster, MemoryCluster};
///
/// let fenced: Arc<dyn Cluster> = Arc::new(MemoryCluster::new()).fenced(Fence::new(|| false));
/// ```
pub trait Fenceable: Cluster {
    /// Returns the same cluster behind the fence.
    fn fenced(self: Arc<Self>, fence: Fence) -> Arc<dyn Cluster>;
}

impl Fenceable for MemoryCluster {
    fn fenced(self: Arc<Self>, fence: Fence) -> Arc<dyn Cluster> {
        Arc::new(FencedCluster::new(self, fence))
    }
}

/// A cluster behind a fence, which checks it before each write. Reads and dry runs pass.
///
/// ```
/// use std::sync::Arc;
///
/// use brokkr_reconcile::cluster::{ApiKind, Cluster, ClusterError, DeleteOptions, Fence, FencedCluster};
/// use brokkr_reconcile::cluster::{MemoryCluster, PropagationPolicy};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let cluster = FencedCluster::new(Arc::new(MemoryCluster::new()), Fence::new(|| false));
/// let namespaces = ApiKind::v1("", "Namespace", "namespaces", false);
/// let options = DeleteOptions { uid: "any", resource_version: None, propagation: PropagationPolicy::Background };
/// let deleted = cluster.delete(&namespaces.at(None, "default"), &options).await;
/// assert_eq!(deleted, Err(ClusterError::Fenced));
/// # });
/// ```
#[derive(Debug)]
pub struct FencedCluster {
    cluster: Arc<dyn Cluster>,
    fence: Fence,
}

impl FencedCluster {
    /// Creates a cluster that checks `fence` before each write to `cluster`.
    pub fn new(cluster: Arc<dyn Cluster>, fence: Fence) -> Self {
        Self { cluster, fence }
    }
}

#[async_trait]
impl Cluster for FencedCluster {
    fn impersonate(self: Arc<Self>, user: &ImpersonatedUser) -> Arc<dyn Cluster> {
        Arc::new(Self::new(self.cluster.clone().impersonate(user), self.fence.clone()))
    }

    async fn discover(&self) -> ClusterResult<Discovery> {
        self.cluster.discover().await
    }

    async fn get(&self, at: &ObjectKey<'_>) -> ClusterResult<Option<Value>> {
        self.cluster.get(at).await
    }

    async fn list(&self, kind: &ApiKind, namespace: Option<&str>, options: &ListOptions) -> ClusterResult<ObjectList> {
        self.cluster.list(kind, namespace, options).await
    }

    async fn list_each(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        visit: &mut (dyn FnMut(Value) + Send),
    ) -> ClusterResult<ListMeta> {
        self.cluster.list_each(kind, namespace, options, visit).await
    }

    async fn apply(&self, at: &ObjectKey<'_>, body: &Value, options: &ApplyOptions<'_>) -> ClusterResult<ApplyOutcome> {
        if !options.dry_run {
            self.fence.check()?;
        }
        self.cluster.apply(at, body, options).await
    }

    async fn patch(&self, at: &ObjectKey<'_>, patch: &Patch, manager: &str) -> ClusterResult<Value> {
        self.fence.check()?;
        self.cluster.patch(at, patch, manager).await
    }

    async fn delete(&self, at: &ObjectKey<'_>, options: &DeleteOptions<'_>) -> ClusterResult<()> {
        self.fence.check()?;
        self.cluster.delete(at, options).await
    }

    async fn watch(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        resource_version: &str,
    ) -> ClusterResult<BoxStream<'static, ClusterResult<WatchEvent>>> {
        self.cluster.watch(kind, namespace, options, resource_version).await
    }
}

const _: Option<&dyn Fenceable> = None;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::json;

    use super::*;
    use crate::cluster::PropagationPolicy;

    #[tokio::test]
    async fn closed_fence_stops_writes_only() {
        let open = Arc::new(AtomicBool::new(true));
        let asked = open.clone();
        let cluster = MemoryCluster::new();
        let fenced = Arc::new(cluster.clone()).fenced(Fence::new(move || asked.load(Ordering::SeqCst)));
        let kind = ApiKind::v1("", "ConfigMap", "configmaps", true);
        let at = kind.at(Some("default"), "a");
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}});
        let options = ApplyOptions { field_manager: "test", force: false, dry_run: false };
        let patch = Patch::Merge(json!({"data": {"k": "1"}}));
        let applied = fenced.apply(&at, &body, &options).await.expect("an open fence");
        let uid = crate::cluster::meta::uid(&applied.object).expect("a UID").to_owned();
        let deletion = DeleteOptions { uid: &uid, resource_version: None, propagation: PropagationPolicy::Background };

        open.store(false, Ordering::SeqCst);
        let writes = cluster.writes();
        assert_eq!(fenced.apply(&at, &body, &options).await.err(), Some(ClusterError::Fenced));
        assert_eq!(fenced.patch(&at, &patch, "test").await.err(), Some(ClusterError::Fenced));
        assert_eq!(fenced.delete(&at, &deletion).await.err(), Some(ClusterError::Fenced));
        assert_eq!(cluster.writes(), writes, "no write reached the cluster");
        assert!(fenced.get(&at).await.is_ok_and(|it| it.is_some()));
        assert!(fenced.apply(&at, &body, &ApplyOptions { dry_run: true, ..options }).await.is_ok());

        open.store(true, Ordering::SeqCst);
        assert!(fenced.delete(&at, &deletion).await.is_ok());
    }
}
