//! Remembering to which history the cluster's content belongs.

use std::sync::Arc;

use brokkr_core::model::{AgentId, Epoch};
use brokkr_core::protocol::TargetState;
use brokkr_reconcile::cluster::{Cluster, ClusterResult};
use serde_json::{Value, json};

use super::record::Record;

/// How many histories that were left are remembered.
const FORMER: usize = 16;

/// The epoch that this agent trusts, kept in the cluster beside the inventories.
///
/// After a restore from a backup or a restart of a broker in memory, what the broker does not know any more is
/// not what should go. So a new epoch applies, but removes nothing until an admin has confirmed it. One that was left for
/// another that was trusted does not come back: whoever tells it is not current.
#[derive(Debug)]
pub(super) struct TrustedEpoch {
    record: Record,
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
        Self { record: Record::new(cluster, namespace, agent, "epoch"), kept: None }
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
