//! The agent's own record in its cluster: facts that it needs after a restart and cannot get elsewhere.

use std::sync::Arc;

use brokkr_core::model::AgentId;
use brokkr_reconcile::cluster::{ApiKind, ApplyOptions, Cluster, ClusterResult};
use brokkr_reconcile::{AGENT_LABEL, field_manager};
use serde_json::{Value, json};

/// A ConfigMap beside the inventories. Each part has its own field manager, so that no part removes another.
#[derive(Debug, Clone)]
pub(super) struct Record {
    cluster: Arc<dyn Cluster>,
    kind: ApiKind,
    namespace: String,
    name: String,
    agent: AgentId,
    manager: String,
}

impl Record {
    /// Returns a part of this agent's record.
    pub(super) fn new(cluster: Arc<dyn Cluster>, namespace: String, agent: AgentId, part: &str) -> Self {
        let kind = ApiKind::v1("", "ConfigMap", "configmaps", true);
        let manager = format!("{}-{part}", field_manager(agent));
        Self { cluster, kind, namespace, name: format!("brokkr-agent-{agent}"), agent, manager }
    }

    /// Reads the data of all parts; null if the record does not exist.
    pub(super) async fn read(&self) -> ClusterResult<Value> {
        let object = self.cluster.get(&self.kind.at(Some(&self.namespace), &self.name)).await?;
        Ok(object.and_then(|mut it| it.get_mut("data").map(Value::take)).unwrap_or_default())
    }

    /// Replaces the data of this part.
    pub(super) async fn write(&self, data: Value) -> ClusterResult<()> {
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": {AGENT_LABEL: self.agent}},
            "data": data,
        });
        let options = ApplyOptions { field_manager: &self.manager, force: true, dry_run: false };
        self.cluster.apply(&self.kind.at(Some(&self.namespace), &self.name), &body, &options).await?;
        Ok(())
    }
}
