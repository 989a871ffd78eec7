//! Intentionally broken clusters, each of which the suite must detect.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::cluster::conformance::all;
use crate::cluster::{
    ApiKind, ApplyOptions, ApplyOutcome, Cluster, ClusterResult, DeleteOptions, Discovery, ImpersonatedUser,
    ListOptions, MemoryCluster, ObjectKey, ObjectList, Patch, WatchEvent, meta,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Every apply forces conflicts.
    AlwaysForced,
    /// Applies ignore UIDs in bodies.
    UidIgnored,
    /// Deletions ignore preconditions.
    DeletesAnything,
    /// Applies never report `created`.
    NeverCreated,
    /// Dry runs write.
    DryRunWrites,
    /// Lists ignore the selector.
    SelectorForgotten,
    /// Lists never report truncation.
    TruncationUnreported,
    /// Reads return `None` for an object that is being deleted.
    DeletingIsGone,
    /// Requests as another user have the client's own rights.
    ImpersonationForgotten,
}

const FAULTS: [Fault; 9] = [
    Fault::AlwaysForced,
    Fault::UidIgnored,
    Fault::DeletesAnything,
    Fault::NeverCreated,
    Fault::DryRunWrites,
    Fault::SelectorForgotten,
    Fault::TruncationUnreported,
    Fault::DeletingIsGone,
    Fault::ImpersonationForgotten,
];

#[derive(Debug)]
struct Broken {
    inner: MemoryCluster,
    fault: Fault,
}

impl Broken {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

#[async_trait]
impl Cluster for Broken {
    fn impersonate(self: Arc<Self>, user: &ImpersonatedUser) -> Arc<dyn Cluster> {
        if self.has(Fault::ImpersonationForgotten) { self } else { Arc::new(self.inner.clone()).impersonate(user) }
    }

    async fn discover(&self) -> ClusterResult<Discovery> {
        self.inner.discover().await
    }

    async fn get(&self, at: &ObjectKey<'_>) -> ClusterResult<Option<Value>> {
        let found = self.inner.get(at).await?;
        Ok(found.filter(|it| !(self.has(Fault::DeletingIsGone) && meta::is_deleting(it))))
    }

    async fn list(&self, kind: &ApiKind, namespace: Option<&str>, options: &ListOptions) -> ClusterResult<ObjectList> {
        let mut options = options.clone();
        if self.has(Fault::SelectorForgotten) {
            options.label_selector.clear();
        }
        let mut list = self.inner.list(kind, namespace, &options).await?;
        list.meta.truncated &= !self.has(Fault::TruncationUnreported);
        Ok(list)
    }

    async fn apply(&self, at: &ObjectKey<'_>, body: &Value, options: &ApplyOptions<'_>) -> ClusterResult<ApplyOutcome> {
        let (mut body, mut options) = (body.clone(), *options);
        options.force |= self.has(Fault::AlwaysForced);
        options.dry_run &= !self.has(Fault::DryRunWrites);
        if self.has(Fault::UidIgnored)
            && let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("uid");
        }
        let mut applied = self.inner.apply(at, &body, &options).await?;
        applied.created &= !self.has(Fault::NeverCreated);
        Ok(applied)
    }

    async fn patch(&self, at: &ObjectKey<'_>, patch: &Patch, manager: &str) -> ClusterResult<Value> {
        self.inner.patch(at, patch, manager).await
    }

    async fn delete(&self, at: &ObjectKey<'_>, options: &DeleteOptions<'_>) -> ClusterResult<()> {
        let live = self.inner.get(at).await?;
        let there = live.as_ref().and_then(meta::uid).filter(|_| self.has(Fault::DeletesAnything));
        self.inner.delete(at, &DeleteOptions { uid: there.unwrap_or(options.uid), ..*options }).await
    }

    async fn watch(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        resource_version: &str,
    ) -> ClusterResult<BoxStream<'static, ClusterResult<WatchEvent>>> {
        self.inner.watch(kind, namespace, options, resource_version).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_cluster_is_noticed() {
    for fault in FAULTS {
        let mut noticed = Vec::new();
        for check in all() {
            let cluster = Arc::new(Broken { inner: MemoryCluster::new(), fault });
            let run = tokio::spawn(tokio::time::timeout(std::time::Duration::from_secs(3), (check.run)(cluster)));
            if !matches!(run.await, Ok(Ok(()))) {
                noticed.push(check.name);
            }
        }
        assert!(!noticed.is_empty(), "no check notices {fault:?}");
    }
}
