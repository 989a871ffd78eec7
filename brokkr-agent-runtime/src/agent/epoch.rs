//! Remembering to which history the cluster's content belongs.

use std::sync::Arc;

use brokkr_core::cluster::{ApiKind, ApplyOptions, Cluster, ClusterResult};
use brokkr_core::model::{AgentId, Epoch};
use brokkr_core::protocol::TargetState;
use brokkr_core::reconcile::{AGENT_LABEL, field_manager};
use serde_json::{Value, json};

/// The epoch that this agent trusts, kept in the cluster beside the inventories.
///
/// After a restore from a backup or a restart of a broker in memory, what the broker does not know any more is
/// not what should go. So a new epoch applies, but removes nothing until an admin has confirmed it.
#[derive(Debug)]
pub(super) struct TrustedEpoch {
    cluster: Arc<dyn Cluster>,
    kind: ApiKind,
    namespace: String,
    name: String,
    agent: AgentId,
    /// `None` before it was read.
    kept: Option<Option<Epoch>>,
}

impl TrustedEpoch {
    pub(super) fn new(cluster: Arc<dyn Cluster>, namespace: String, agent: AgentId) -> Self {
        let kind = ApiKind {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            plural: "configmaps".to_owned(),
            namespaced: true,
            listable: true,
        };
        Self { cluster, kind, namespace, name: format!("brokkr-agent-{agent}"), agent, kept: None }
    }

    /// Whether removals ordered by this target state may be carried out. An epoch is taken on if nothing is held, or
    /// if an admin confirmed it; that is written down before anything else happens.
    pub(super) async fn trusts(&mut self, state: &TargetState, holds_anything: bool) -> ClusterResult<bool> {
        let kept = match self.kept {
            Some(kept) => kept,
            None => *self.kept.insert(self.read().await?),
        };
        if kept == Some(state.epoch) {
            return Ok(true);
        }
        if holds_anything && !state.epoch_confirmed {
            return Ok(false);
        }
        self.write(state.epoch).await?;
        self.kept = Some(Some(state.epoch));
        Ok(true)
    }

    /// The same without writing anything down.
    pub(super) async fn would_trust(&self, state: &TargetState, holds_anything: bool) -> ClusterResult<bool> {
        Ok(!holds_anything || state.epoch_confirmed || self.read().await? == Some(state.epoch))
    }

    async fn read(&self) -> ClusterResult<Option<Epoch>> {
        let object = self.cluster.get(&self.kind.at(Some(&self.namespace), &self.name)).await?;
        let text = object.as_ref().and_then(|it| it.pointer("/data/epoch")).and_then(Value::as_str);
        Ok(text.and_then(|text| text.parse().ok()))
    }

    async fn write(&self, epoch: Epoch) -> ClusterResult<()> {
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": {AGENT_LABEL: self.agent}},
            "data": {"epoch": epoch},
        });
        let manager = field_manager(self.agent);
        let options = ApplyOptions { manager: &manager, force: true, dry_run: false };
        self.cluster.apply(&self.kind.at(Some(&self.namespace), &self.name), &body, &options).await?;
        Ok(())
    }
}
