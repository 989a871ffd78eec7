//! Agents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::entity::Record;
use crate::model::{AgentId, Annotations, Epoch, GeneratorId, GrantId, Labels, Name, Suspension, Timestamp, Version};

/// Whether an agent serves stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AgentStatus {
    /// The agent serves the stacks that target it.
    Active,
    /// The agent gets no new stacks. It still receives updates and removals of the stacks that it has.
    Cordoned,
    /// The broker refuses the agent's requests and no longer waits for it to remove stacks.
    Retired,
}

/// A process in or beside a cluster that pulls its target state and applies it to the cluster.
///
/// The facts that an agent reports about itself (instance, capabilities) are in its
/// [`AgentSession`](crate::model::AgentSession); a report does not change the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The id of the agent.
    pub id: AgentId,
    /// Unique among living agents.
    pub name: Name,
    /// The name of the cluster that it serves, for people. Several agents may serve one cluster.
    pub cluster_name: String,
    /// The name of the environment that the agent is in, at most one; an admin decides. The agent has it as the label
    /// [`ENVIRONMENT_LABEL`](crate::model::ENVIRONMENT_LABEL) too.
    pub environment: Option<Name>,
    /// Labels that targeting rules select or match with a stack's labels.
    pub labels: Labels,
    /// Annotations that targeting rules select or match with a stack's annotations.
    pub annotations: Annotations,
    /// Whether the agent serves stacks.
    pub status: AgentStatus,
    /// Why all its stacks are suspended. Absent: they are not.
    #[serde(default)]
    pub suspended: Option<Suspension>,
    /// The generators that it is registered with, and the grant of each registration. Only their stacks can be assigned to
    /// it, and the grant limits what they may contain; an admin decides.
    pub registrations: BTreeMap<GeneratorId, GrantId>,
    /// The epoch that an admin confirmed. In a later epoch the agent neither removes nor prunes until an admin confirms
    /// that one.
    pub confirmed_epoch: Option<Epoch>,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of deletion. Set only on a tombstone.
    pub deleted_at: Option<Timestamp>,
}

impl Record for Agent {
    type Id = AgentId;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn version(&self) -> Version {
        self.version
    }

    fn deleted_at(&self) -> Option<Timestamp> {
        self.deleted_at
    }

    fn name(&self) -> Option<&Name> {
        Some(&self.name)
    }

    fn labels(&self) -> Option<&Labels> {
        Some(&self.labels)
    }

    fn shown(&self) -> Value {
        let registration = |(generator, grant)| json!({"generator_id": generator, "grant_id": grant});
        json!({
            "id": self.id,
            "name": self.name,
            "cluster_name": self.cluster_name,
            "environment": self.environment,
            "labels": self.labels,
            "annotations": self.annotations,
            "status": self.status,
            "suspended": self.suspended,
            "registrations": self.registrations.iter().map(registration).collect::<Vec<_>>(),
            "confirmed_epoch": self.confirmed_epoch,
            "version": self.version,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }
}
