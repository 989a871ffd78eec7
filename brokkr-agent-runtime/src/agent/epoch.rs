//! The trusted epoch: the history that the cluster's objects belong to.

use std::sync::Arc;

use brokkr_core::model::{AgentId, Epoch};
use brokkr_core::protocol::TargetState;
use brokkr_reconcile::cluster::{Cluster, ClusterResult};
use serde_json::{Value, json};

use super::record::Record;

/// Maximum number of former epochs.
const FORMER: usize = 16;

/// The epoch that this agent trusts, stored in the cluster beside the inventories.
///
/// After a restore from a backup, or a restart of a broker in memory, a stack that the broker does not know is not
/// necessarily unwanted. So the agent applies the target states of a new epoch, but removes nothing until an admin
/// confirms it. The agent never returns to an epoch that it left: a broker that serves it is outdated.
#[derive(Debug)]
pub(super) struct TrustedEpoch {
    record: Record,
    /// `None` before the first read.
    kept: Option<Kept>,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    epoch: Option<Epoch>,
    /// Previously trusted epochs, oldest first.
    former: Vec<Epoch>,
}

/// The effects that a target state may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Apply and remove.
    Full,
    /// Apply, but remove nothing.
    NoRemovals,
    /// Neither apply nor remove: the target state belongs to a former epoch.
    Outdated,
}

impl TrustedEpoch {
    pub(super) fn new(cluster: Arc<dyn Cluster>, namespace: String, agent: AgentId) -> Self {
        Self { record: Record::new(cluster, namespace, agent, "epoch"), kept: None }
    }

    /// Returns the effects that a target state may have. Adopts a new epoch if the agent holds nothing or an admin
    /// confirmed it, and records it first.
    pub(super) async fn trust(&mut self, state: &TargetState, holds_anything: bool) -> ClusterResult<Trust> {
        let mut kept = match &self.kept {
            Some(kept) => kept.clone(),
            None => self.kept.insert(self.read().await?).clone(),
        };
        if kept.epoch == Some(state.epoch) {
            return Ok(Trust::Full);
        }
        if kept.former.contains(&state.epoch) {
            return Ok(Trust::Outdated);
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

    /// Whether the agent would perform removals. Records nothing.
    pub(super) async fn would_trust(&self, state: &TargetState, holds_anything: bool) -> ClusterResult<bool> {
        let kept = self.read().await?;
        let is_new = !kept.former.contains(&state.epoch);
        Ok(kept.epoch == Some(state.epoch) || (is_new && (!holds_anything || state.epoch_confirmed)))
    }

    async fn read(&self) -> ClusterResult<Kept> {
        let data = self.record.read().await?;
        let text = |key| data.get(key).and_then(Value::as_str);
        let former = text("former").unwrap_or_default();
        Ok(Kept {
            epoch: text("epoch").and_then(|text| text.parse().ok()),
            former: former.split(',').filter_map(|text| text.parse().ok()).collect(),
        })
    }

    async fn write(&self, kept: &Kept) -> ClusterResult<()> {
        let former: Vec<String> = kept.former.iter().map(Epoch::to_string).collect();
        self.record.write(json!({"epoch": kept.epoch, "former": former.join(",")})).await
    }
}
