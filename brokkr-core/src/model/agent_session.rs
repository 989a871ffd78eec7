//! What an agent says of itself.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{AgentId, InstanceId, Timestamp, Version};

/// Which run of an agent's process speaks for it, on which cluster.
///
/// The newest run wins: a run that was superseded is refused from then on, so two processes with one key
/// cannot alternate. The cluster never changes: the same agent on another cluster is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSession {
    /// The agent.
    pub agent_id: AgentId,
    /// UID of the Namespace `kube-system`: the cluster's identity.
    pub cluster_uid: String,
    /// The run of the process.
    pub instance_id: InstanceId,
    /// The highest sequence number of its reports so far.
    pub sequence: u64,
    /// Earlier runs that may still be alive somewhere, newest last; a bounded memory.
    pub superseded: Vec<InstanceId>,
    /// What the agent can do beyond the base protocol.
    pub capabilities: BTreeSet<String>,
    /// Stacks that the agent holds and the broker does not know: shown, and left alone.
    pub unknown_stacks: Vec<crate::model::StackId>,
    /// Grows with every change.
    pub version: Version,
    /// When this run reported first.
    pub started_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Record for AgentSession {
    type Id = AgentId;

    fn id(&self) -> Self::Id {
        self.agent_id
    }

    fn version(&self) -> Version {
        self.version
    }
}
