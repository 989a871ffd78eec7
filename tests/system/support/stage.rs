//! The cluster of a reconciler test: in memory, or a real API server.

use std::sync::Arc;

use brokkr_agent_runtime::{ClusterSource, KubeCluster};
use brokkr_core::model::StackId;
use brokkr_reconcile::cluster::{
    ApiKind, ApplyOptions, Cluster, ClusterError, DeleteOptions, Discovery, Fenceable, MemoryCluster,
    PropagationPolicy, meta,
};
use brokkr_testbed::TestCluster;
use serde_json::Value;

use super::agent_cluster::AgentCluster;
use super::counted::Counted;
use super::{clusters, eventually, namespace};

/// A cluster of either kind, with a namespace that no other test uses.
pub(crate) struct Stage {
    agent: Arc<Counted>,
    human: Arc<dyn Cluster>,
    served: Discovery,
    /// The namespace. Further namespaces of the test have its name as prefix.
    pub(crate) here: String,
}

impl AgentCluster for Stage {
    fn for_agent(&self) -> Arc<dyn Fenceable> {
        self.agent.clone()
    }
}

impl Stage {
    /// A cluster in memory.
    pub(crate) async fn memory() -> Self {
        let cluster = Arc::new(MemoryCluster::new());
        Self::new(cluster.clone(), cluster).await
    }

    /// A real API server, with an agent's rights only.
    pub(crate) async fn real() -> Self {
        let TestCluster { agent_kubeconfig, admin_kubeconfig, .. } = &clusters()[0];
        let connect = |file: &std::path::Path| {
            let from = ClusterSource::default().file(file.to_owned());
            async move { Arc::new(KubeCluster::connect(&from).await.unwrap()) }
        };
        Self::new(connect(agent_kubeconfig).await, connect(admin_kubeconfig).await).await
    }

    async fn new(agent: Arc<dyn Cluster>, human: Arc<dyn Cluster>) -> Self {
        let here = format!("stage-{}", StackId::generate());
        let served = human.discover().await.unwrap();
        let stage = Self { agent: Arc::new(Counted::new(agent)), human, served, here: here.clone() };
        stage.write(namespace(&here)).await;
        stage
    }

    /// The name of a further namespace of this test. Does not create it.
    pub(crate) fn beside(&self, name: &str) -> String {
        format!("{}-{name}", self.here)
    }

    /// The numbers of the agent's reads and writes so far. Dry runs count as writes.
    pub(crate) fn requests(&self) -> (u64, u64) {
        self.agent.requests()
    }

    fn kind(&self, kind: &str) -> &ApiKind {
        self.served.preferred("", kind).unwrap()
    }

    /// The current state of an object.
    pub(crate) async fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let namespace = Some(namespace).filter(|it| !it.is_empty());
        self.human.get(&self.kind(kind).at(namespace, name)).await.unwrap()
    }

    /// The data of a ConfigMap in the test's namespace.
    pub(crate) async fn data(&self, name: &str) -> Option<Value> {
        self.object("ConfigMap", &self.here, name).await.map(|it| it["data"].clone())
    }

    /// Writes an object as a human who ignores field ownership.
    pub(crate) async fn write(&self, body: Value) {
        let kind = self.kind(body["kind"].as_str().unwrap());
        let options = ApplyOptions { field_manager: "human", force: true, dry_run: false };
        let at = kind.at(meta::namespace(&body), meta::name(&body).unwrap());
        self.human.apply(&at, &body, &options).await.unwrap();
    }

    /// Deletes an object as a human.
    pub(crate) async fn delete(&self, kind: &str, namespace: &str, name: &str) {
        let live = self.object(kind, namespace, name).await.unwrap();
        let options = DeleteOptions {
            uid: meta::uid(&live).unwrap(),
            resource_version: None,
            propagation: PropagationPolicy::Background,
        };
        let deleted = self.human.delete(&self.kind(kind).at(meta::namespace(&live), name), &options).await;
        assert!(matches!(deleted, Ok(()) | Err(ClusterError::NotFound(_))), "{deleted:?}");
    }

    /// Waits until an object is gone.
    pub(crate) async fn goes(&self, kind: &str, namespace: &str, name: &str) {
        eventually("it goes", || async { self.object(kind, namespace, name).await.map_or(Ok(()), Err) }).await;
    }
}
