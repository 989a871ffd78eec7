//! An agent of a control plane under test.

use brokkr_core::model::AgentId;
use brokkr_reconcile::cluster::MemoryCluster;
use serde_json::Value;

/// A running agent and its cluster in memory.
#[derive(Debug)]
pub struct RunningAgent {
    pub(super) id: AgentId,
    pub(super) name: String,
    pub(super) cluster: MemoryCluster,
}

impl RunningAgent {
    /// Its id at the broker.
    #[must_use]
    pub fn id(&self) -> AgentId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its cluster, to look at or to interfere with.
    #[must_use]
    pub fn cluster(&self) -> &MemoryCluster {
        &self.cluster
    }

    /// An object of its cluster as it is now. `namespace` is `None` for kinds without one.
    ///
    /// Kinds are told apart by name alone; use [`cluster`](Self::cluster) where two groups have a kind of this name.
    #[must_use]
    pub fn object<'a>(&self, kind: &str, namespace: impl Into<Option<&'a str>>, name: &str) -> Option<Value> {
        let namespace = namespace.into();
        self.cluster.objects().into_iter().find(|it| {
            it["kind"] == kind && it["metadata"]["name"] == name && it["metadata"]["namespace"].as_str() == namespace
        })
    }
}
