//! Silence: that an agent neither polls nor reports.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{AgentId, Timestamp, Version};

/// The last silence of an agent: it neither polled nor reported for too long. Absent for agents that were never silent.
///
/// A silence says nothing about the cluster, and changes no target state: an agent that is back continues where it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSilence {
    /// The agent.
    pub agent_id: AgentId,
    /// The time of its last poll or report before the silence.
    pub since: Timestamp,
    /// Whether many agents became silent with it: more likely the network than this agent. Nothing may be concluded about
    /// the single agent then.
    pub correlated: bool,
    /// The time at which the agent was back; absent while it is silent.
    pub ended_at: Option<Timestamp>,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time at which the agent was deleted. Set only on a tombstone.
    pub deleted_at: Option<Timestamp>,
}

impl AgentSilence {
    /// Whether the agent is silent now.
    pub fn is_silent(&self) -> bool {
        self.ended_at.is_none() && self.deleted_at.is_none()
    }
}

impl Record for AgentSilence {
    type Id = AgentId;

    fn id(&self) -> Self::Id {
        self.agent_id
    }

    fn version(&self) -> Version {
        self.version
    }

    fn deleted_at(&self) -> Option<Timestamp> {
        self.deleted_at
    }
}
