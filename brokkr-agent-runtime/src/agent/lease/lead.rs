//! Leading, as long as it is certain.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use brokkr_reconcile::cluster::{
    Address, ApiKind, Applied, ApplyOptions, Cluster, ClusterError, ClusterResult, DeleteOptions, Discovery,
    ListOptions, Listed, ObjectList, Patch, WatchEvent,
};
use futures::stream::BoxStream;
use serde_json::Value;

/// Until when this process leads, by a clock that only goes forward.
#[derive(Debug)]
pub(super) struct Lead(Mutex<Instant>);

impl Lead {
    pub(super) fn until(end: Instant) -> Self {
        Self(Mutex::new(end))
    }

    pub(super) fn end(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn extend(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    fn holds(&self) -> bool {
        Instant::now() < self.end()
    }

    fn check(&self) -> ClusterResult<()> {
        if self.holds() { Ok(()) } else { Err(ClusterError::NotLeading) }
    }
}

/// A cluster that is written to only while this process leads: looked up before each write, as a process may be stopped
/// and go on at any moment.
#[derive(Debug)]
pub(super) struct LedCluster {
    cluster: Arc<dyn Cluster>,
    lead: Arc<Lead>,
}

impl LedCluster {
    pub(super) fn new(cluster: Arc<dyn Cluster>, lead: Arc<Lead>) -> Self {
        let asked = lead.clone();
        let permitted = cluster.permitted(Arc::new(move || asked.holds()));
        Self { cluster: permitted.unwrap_or(cluster), lead }
    }
}

#[async_trait]
impl Cluster for LedCluster {
    async fn discover(&self) -> ClusterResult<Discovery> {
        self.cluster.discover().await
    }

    async fn get(&self, at: &Address<'_>) -> ClusterResult<Option<Value>> {
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

    async fn apply(&self, at: &Address<'_>, body: &Value, options: &ApplyOptions<'_>) -> ClusterResult<Applied> {
        if !options.dry_run {
            self.lead.check()?;
        }
        self.cluster.apply(at, body, options).await
    }

    async fn patch(&self, at: &Address<'_>, patch: &Patch, manager: &str) -> ClusterResult<Value> {
        self.lead.check()?;
        self.cluster.patch(at, patch, manager).await
    }

    async fn delete(&self, at: &Address<'_>, options: &DeleteOptions<'_>) -> ClusterResult<()> {
        self.lead.check()?;
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
