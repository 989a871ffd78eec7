//! A cluster that counts requests and can withhold an answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use brokkr_reconcile::cluster::{
    ApiKind, ApplyOptions, ApplyOutcome, Cluster, ClusterResult, DeleteOptions, Discovery, Fence, Fenceable,
    FencedCluster, ImpersonatedUser, ListOptions, ObjectKey, ObjectList, Patch, WatchEvent,
};
use futures::stream::BoxStream;
use serde_json::Value;

/// A cluster that counts requests, including writes without effect, which other observers cannot see.
#[derive(Debug)]
pub(crate) struct Counted {
    inner: Arc<dyn Cluster>,
    reads: AtomicU64,
    writes: AtomicU64,
    unanswered: Option<&'static str>,
    preceding: Mutex<Option<(&'static str, Value)>>,
}

impl Counted {
    pub(crate) fn new(inner: Arc<dyn Cluster>) -> Self {
        Self {
            inner,
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            unanswered: None,
            preceding: Mutex::default(),
        }
    }

    /// Simulates another client that writes this object just before the first apply of an object of its name.
    pub(crate) fn preceded(self, manager: &'static str, body: Value) -> Self {
        Self { preceding: Mutex::new(Some((manager, body))), ..self }
    }

    /// Withholds the answer to applies of an object of this name.
    pub(crate) fn unanswered(self, name: &'static str) -> Self {
        Self { unanswered: Some(name), ..self }
    }

    /// The number of reads and writes so far.
    pub(crate) fn requests(&self) -> (u64, u64) {
        (self.reads.load(Ordering::SeqCst), self.writes.load(Ordering::SeqCst))
    }

    fn reading(&self) -> &dyn Cluster {
        self.reads.fetch_add(1, Ordering::SeqCst);
        &*self.inner
    }

    fn writing(&self) -> &dyn Cluster {
        self.writes.fetch_add(1, Ordering::SeqCst);
        &*self.inner
    }
}

#[async_trait]
impl Cluster for Counted {
    fn impersonate(self: Arc<Self>, user: &ImpersonatedUser) -> Arc<dyn Cluster> {
        self.inner.clone().impersonate(user)
    }

    async fn discover(&self) -> ClusterResult<Discovery> {
        self.reading().discover().await
    }

    async fn get(&self, at: &ObjectKey<'_>) -> ClusterResult<Option<Value>> {
        self.reading().get(at).await
    }

    async fn list(&self, kind: &ApiKind, namespace: Option<&str>, options: &ListOptions) -> ClusterResult<ObjectList> {
        self.reading().list(kind, namespace, options).await
    }

    async fn apply(&self, at: &ObjectKey<'_>, body: &Value, options: &ApplyOptions<'_>) -> ClusterResult<ApplyOutcome> {
        let writing = self.writing();
        if self.unanswered == Some(at.name) {
            std::future::pending::<()>().await;
        }
        let preceding = self.preceding.lock().unwrap().take_if(|(_, body)| body["metadata"]["name"] == at.name);
        if let Some((manager, body)) = preceding {
            let options = ApplyOptions { field_manager: manager, force: false, dry_run: false };
            self.inner.apply(at, &body, &options).await.unwrap();
        }
        writing.apply(at, body, options).await
    }

    async fn patch(&self, at: &ObjectKey<'_>, patch: &Patch, manager: &str) -> ClusterResult<Value> {
        self.writing().patch(at, patch, manager).await
    }

    async fn delete(&self, at: &ObjectKey<'_>, options: &DeleteOptions<'_>) -> ClusterResult<()> {
        self.writing().delete(at, options).await
    }

    async fn watch(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        resource_version: &str,
    ) -> ClusterResult<BoxStream<'static, ClusterResult<WatchEvent>>> {
        self.reading().watch(kind, namespace, options, resource_version).await
    }
}

impl Fenceable for Counted {
    fn fenced(self: Arc<Self>, fence: Fence) -> Arc<dyn Cluster> {
        Arc::new(FencedCluster::new(self, fence))
    }
}
