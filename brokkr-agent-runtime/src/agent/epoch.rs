//! Remembering to which history the cluster's content belongs.

use std::sync::Arc;

use brokkr_core::cluster::{ApiKind, ApplyOptions, Cluster, ClusterResult};
use brokkr_core::model::{AgentId, Epoch};
use brokkr_core::protocol::TargetState;
use brokkr_core::reconcile::{AGENT_LABEL, field_manager};
use serde_json::{Value, json};

/// How many histories that were left are remembered.
const FORMER: usize = 16;

/// The epoch that this agent trusts, kept in the cluster beside the inventories.
///
/// After a restore from a backup or a restart of a broker in memory, what the broker does not know any more is
/// not what should go. So a new epoch applies, but removes nothing until an admin has confirmed it. One that was left for
/// another that was trusted does not come back: whoever tells it is not current.
#[derive(Debug)]
pub(super) struct TrustedEpoch {
    cluster: Arc<dyn Cluster>,
    kind: ApiKind,
    namespace: String,
    name: String,
    agent: AgentId,
    /// `None` before it was read.
    kept: Option<Kept>,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    epoch: Option<Epoch>,
    /// Those that were trusted before, the oldest first.
    former: Vec<Epoch>,
}

/// What a target state may bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Everything it says.
    Full,
    /// Nothing is removed.
    NoRemovals,
    /// Nothing at all: it is of a history that was left.
    None,
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

    /// What this target state may bring about. An epoch is taken on if nothing is held, or if an admin confirmed it; that is
    /// written down before anything else happens.
    pub(super) async fn trust(&mut self, state: &TargetState, holds_anything: bool) -> ClusterResult<Trust> {
        let mut kept = match &self.kept {
            Some(kept) => kept.clone(),
            None => self.kept.insert(self.read().await?).clone(),
        };
        if kept.epoch == Some(state.epoch) {
            return Ok(Trust::Full);
        }
        if kept.former.contains(&state.epoch) {
            return Ok(Trust::None);
        }
        if holds_anything && !state.epoch_confirmed {
            return Ok(Trust::NoRemovals);
        }
        kept.former.extend(kept.epoch.replace(state.epoch));
        let forgotten = kept.former.len().saturating_sub(FORMER);
        kept.former.drain(..forgotten);
        self.write(&kept).await?;
        self.kept = Some(kept);
        Ok(Trust::Full)
    }

    /// Whether removals would be carried out, without writing anything down.
    pub(super) async fn would_trust(&self, state: &TargetState, holds_anything: bool) -> ClusterResult<bool> {
        let kept = self.read().await?;
        let is_new = !kept.former.contains(&state.epoch);
        Ok(kept.epoch == Some(state.epoch) || (is_new && (!holds_anything || state.epoch_confirmed)))
    }

    async fn read(&self) -> ClusterResult<Kept> {
        let object = self.cluster.get(&self.kind.at(Some(&self.namespace), &self.name)).await?;
        let text = |pointer| object.as_ref().and_then(|it| it.pointer(pointer)).and_then(Value::as_str);
        let former = text("/data/former").unwrap_or_default();
        Ok(Kept {
            epoch: text("/data/epoch").and_then(|text| text.parse().ok()),
            former: former.split(',').filter_map(|text| text.parse().ok()).collect(),
        })
    }

    async fn write(&self, kept: &Kept) -> ClusterResult<()> {
        let former: Vec<String> = kept.former.iter().map(Epoch::to_string).collect();
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": {AGENT_LABEL: self.agent}},
            "data": {"epoch": kept.epoch, "former": former.join(",")},
        });
        let manager = field_manager(self.agent);
        let options = ApplyOptions { manager: &manager, force: true, dry_run: false };
        self.cluster.apply(&self.kind.at(Some(&self.namespace), &self.name), &body, &options).await?;
        Ok(())
    }
}
