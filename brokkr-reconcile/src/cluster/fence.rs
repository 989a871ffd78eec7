//! Fences: what keeps a process that must not write any more from writing.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::cluster::{
    ApiKind, ApplyOptions, ApplyOutcome, Cluster, ClusterError, ClusterResult, DeleteOptions, Discovery, ListOptions,
    Listed, MemoryCluster, ObjectKey, ObjectList, Patch, WatchEvent,
};

/// Says whether this process may write to a cluster now. Clones are the same fence.
#[derive(Clone)]
pub struct Fence(Arc<dyn Fn() -> bool + Send + Sync>);

impl Fence {
    /// A fence that lets writes through while the function returns true. It is called before each write, and must not block.
    pub fn new(may_write: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(may_write))
    }

    /// Whether writes are let through now.
    pub fn may_write(&self) -> bool {
        (self.0)()
    }

    /// Returns [`ClusterError::Fenced`] unless writes are let through now.
    pub fn check(&self) -> ClusterResult<()> {
        if self.may_write() { Ok(()) } else { Err(ClusterError::Fenced) }
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").field("may_write", &self.may_write()).finish()
    }
}

/// A cluster that can be put behind a [`Fence`].
///
/// # To ensure correctness
///
/// 1. While the fence lets writes through, the fenced cluster behaves as the cluster itself.
/// 2. A write that the fence does not let through never reaches the server, and returns [`ClusterError::Fenced`].
/// 3. The fence is asked **as late as possible**. The system may suspend a process between a check and the write that it was for,
///    and resume it minutes later. Where requests pass through queues, ask where the bytes leave the process.
///
/// Where nothing lies between a call and its effect, or a wrapped cluster need not be stricter than a check before each call,
/// [`FencedCluster`] is the whole implementation:
///
/// ```
/// # use std::sync::Arc;
/// use brokkr_reconcile::cluster::{Cluster, Fence, Fenceable, FencedCluster, MemoryCluster};
///
/// let fenced: Arc<dyn Cluster> = Arc::new(MemoryCluster::new()).fenced(Fence::new(|| false));
/// ```
pub trait Fenceable: Cluster {
    /// The same cluster behind the fence.
    fn fenced(self: Arc<Self>, fence: Fence) -> Arc<dyn Cluster>;
}

impl Fenceable for MemoryCluster {
    fn fenced(self: Arc<Self>, fence: Fence) -> Arc<dyn Cluster> {
        Arc::new(FencedCluster::new(self, fence))
    }
}

/// A cluster behind a fence that is asked before each call that writes. Reads and dry runs pass.
#[derive(Debug)]
pub struct FencedCluster {
    cluster: Arc<dyn Cluster>,
    fence: Fence,
}

impl FencedCluster {
    /// Puts a cluster behind a fence.
    pub fn new(cluster: Arc<dyn Cluster>, fence: Fence) -> Self {
        Self { cluster, fence }
    }
}

#[async_trait]
impl Cluster for FencedCluster {
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
        each: &mut (dyn FnMut(Value) + Send),
    ) -> ClusterResult<Listed> {
        self.cluster.list_each(kind, namespace, options, each).await
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
    use crate::cluster::Propagation;

    #[tokio::test]
    async fn closed_fence_stops_writes_and_nothing_else() {
        let open = Arc::new(AtomicBool::new(true));
        let asked = open.clone();
        let cluster = MemoryCluster::new();
        let fenced = Arc::new(cluster.clone()).fenced(Fence::new(move || asked.load(Ordering::SeqCst)));
        let kind = ApiKind::v1("", "ConfigMap", "configmaps", true);
        let at = kind.at(Some("default"), "a");
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}});
        let options = ApplyOptions { manager: "test", force: false, dry_run: false };
        let patch = Patch::Merge(json!({"data": {"k": "1"}}));
        let applied = fenced.apply(&at, &body, &options).await.expect("an open fence");
        let uid = crate::cluster::meta::uid(&applied.object).expect("a UID").to_owned();
        let deletion = DeleteOptions { uid: &uid, resource_version: None, propagation: Propagation::Background };

        open.store(false, Ordering::SeqCst);
        let writes = cluster.writes();
        assert_eq!(fenced.apply(&at, &body, &options).await.err(), Some(ClusterError::Fenced));
        assert_eq!(fenced.patch(&at, &patch, "test").await.err(), Some(ClusterError::Fenced));
        assert_eq!(fenced.delete(&at, &deletion).await.err(), Some(ClusterError::Fenced));
        assert_eq!(cluster.writes(), writes, "nothing reached the cluster");
        assert!(fenced.get(&at).await.is_ok_and(|it| it.is_some()));
        assert!(fenced.apply(&at, &body, &ApplyOptions { dry_run: true, ..options }).await.is_ok());

        open.store(true, Ordering::SeqCst);
        assert!(fenced.delete(&at, &deletion).await.is_ok());
    }
}
