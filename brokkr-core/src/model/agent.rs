//! Agents.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{AgentId, Annotations, Epoch, GeneratorId, Labels, Name, Timestamp, Version};

/// Whether an agent takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AgentStatus {
    /// Serves what it is targeted with.
    Active,
    /// Gets no new stacks; updates and removals go on.
    Cordoned,
    /// Is refused; nobody waits for it any more.
    Retired,
}

/// A process in or beside a cluster that pulls its target state and makes the cluster so.
///
/// What an agent says of itself (instance, capabilities) is an [`AgentSession`](crate::model::AgentSession) and
/// does not change this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Identity.
    pub id: AgentId,
    /// Unique among living agents.
    pub name: Name,
    /// The cluster that it serves, for people; several agents may serve one.
    pub cluster_name: String,
    /// What stacks can share or select.
    pub labels: Labels,
    /// What stacks can share or select.
    pub annotations: Annotations,
    /// Whether it takes part.
    pub status: AgentStatus,
    /// The generators that it serves: the admin's consent, without which nothing reaches it.
    pub generator_ids: BTreeSet<GeneratorId>,
    /// The epoch in which an admin allowed this agent to remove and prune again after a fork of history.
    pub confirmed_epoch: Option<Epoch>,
    /// Grows with every change.
    pub version: Version,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Set on a tombstone.
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
}
