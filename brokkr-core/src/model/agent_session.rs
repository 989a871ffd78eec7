//! Sessions: facts that agents report about themselves.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{AgentId, InstanceId, Timestamp, Version};

/// The process that currently acts as an agent, and the cluster that it runs on.
///
/// The newest process wins: the broker refuses reports of earlier ones, so two processes with one key cannot alternate.
/// The cluster never changes: the broker refuses the same agent on another cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSession {
    /// The agent.
    pub agent_id: AgentId,
    /// UID of the Namespace `kube-system`, which identifies the cluster.
    pub cluster_uid: String,
    /// The id of the process's run. Each start of the agent generates one.
    pub instance_id: InstanceId,
    /// The highest sequence number among the run's reports. A report with a lower or equal number is ignored.
    pub sequence: u64,
    /// Earlier runs that may still be alive, newest last. The list is bounded; the oldest are dropped.
    pub superseded: Vec<InstanceId>,
    /// Optional protocol features that the agent supports.
    pub capabilities: BTreeSet<String>,
    /// Stacks in the agent's inventory that the broker does not know. The broker shows them and does not order their
    /// removal.
    pub unknown_stacks: Vec<crate::model::StackId>,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of this run's first report.
    pub started_at: Timestamp,
    /// The time of the last change.
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
