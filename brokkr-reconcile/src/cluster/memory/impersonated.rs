//! An in-memory cluster as an impersonated user sees it.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::cluster::memory::MemoryCluster;
use crate::cluster::memory::rights::Access;
use crate::cluster::{
    ApiKind, ApplyOptions, ApplyOutcome, Cluster, ClusterResult, DeleteOptions, Discovery, ImpersonatedUser,
    ListOptions, ObjectKey, ObjectList, Patch, WatchEvent,
};

/// An in-memory cluster that checks the rights of a user.
#[derive(Debug)]
pub(super) struct Impersonated {
    pub(super) cluster: MemoryCluster,
    pub(super) user: ImpersonatedUser,
}

impl Impersonated {
    fn check(&self, verb: &str, at: &ObjectKey<'_>) -> ClusterResult<()> {
        self.cluster.state().check_right(&self.user, &Access::to(verb, at))
    }

    fn check_all(&self, verb: &str, kind: &ApiKind, namespace: Option<&str>) -> ClusterResult<()> {
        let access = Access { verb, group: &kind.group, resource: &kind.plural, namespace, name: None };
        self.cluster.state().check_right(&self.user, &access)
    }
}

#[async_trait]
impl Cluster for Impersonated {
    fn impersonate(self: Arc<Self>, user: &ImpersonatedUser) -> Arc<dyn Cluster> {
        Arc::new(Self { cluster: self.cluster.clone(), user: user.clone() })
    }

    async fn discover(&self) -> ClusterResult<Discovery> {
        self.cluster.discover().await
    }

    async fn get(&self, at: &ObjectKey<'_>) -> ClusterResult<Option<Value>> {
        self.check("get", at)?;
        self.cluster.get(at).await
    }

    async fn list(&self, kind: &ApiKind, namespace: Option<&str>, options: &ListOptions) -> ClusterResult<ObjectList> {
        self.check_all("list", kind, namespace)?;
        self.cluster.list(kind, namespace, options).await
    }

    async fn apply(&self, at: &ObjectKey<'_>, body: &Value, options: &ApplyOptions<'_>) -> ClusterResult<ApplyOutcome> {
        self.check("patch", at)?;
        if self.cluster.state().get(at).is_none() {
            self.check("create", at)?;
        }
        self.cluster.state().check_escalation(&self.user, at, body)?;
        self.cluster.apply(at, body, options).await
    }

    async fn patch(&self, at: &ObjectKey<'_>, patch: &Patch, manager: &str) -> ClusterResult<Value> {
        self.check("patch", at)?;
        let Patch::Merge(body) = patch;
        self.cluster.state().check_escalation(&self.user, at, body)?;
        self.cluster.patch(at, patch, manager).await
    }

    async fn delete(&self, at: &ObjectKey<'_>, options: &DeleteOptions<'_>) -> ClusterResult<()> {
        self.check("delete", at)?;
        self.cluster.delete(at, options).await
    }

    async fn watch(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        resource_version: &str,
    ) -> ClusterResult<BoxStream<'static, ClusterResult<WatchEvent>>> {
        self.check_all("watch", kind, namespace)?;
        self.cluster.watch(kind, namespace, options, resource_version).await
    }
}
