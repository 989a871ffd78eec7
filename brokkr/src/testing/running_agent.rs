//! An agent of a control plane under test.

use brokkr_core::model::AgentId;
use brokkr_reconcile::cluster::MemoryCluster;
use serde_json::Value;

/// A running agent and its in-memory cluster.
#[derive(Debug)]
pub struct RunningAgent {
    pub(super) id: AgentId,
    pub(super) name: String,
    pub(super) cluster: MemoryCluster,
}

impl RunningAgent {
    /// The agent's id.
    #[must_use]
    pub fn id(&self) -> AgentId {
        self.id
    }

    /// The agent's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The agent's cluster. Tests read objects from it or change them.
    #[must_use]
    pub fn cluster(&self) -> &MemoryCluster {
        &self.cluster
    }

    /// Returns the current state of an object in the cluster; `None` if it does not exist. `namespace` is `None` for
    /// cluster-scoped kinds.
    ///
    /// Compares kinds by name only; use [`cluster`](Self::cluster) if two API groups have a kind with this name.
    #[must_use]
    pub fn object<'a>(&self, kind: &str, namespace: impl Into<Option<&'a str>>, name: &str) -> Option<Value> {
        let namespace = namespace.into();
        self.cluster.objects().into_iter().find(|it| {
            it["kind"] == kind && it["metadata"]["name"] == name && it["metadata"]["namespace"].as_str() == namespace
        })
    }
}
