//! Direct targets.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{ActorRef, AgentId, GeneratorId, StackId, Timestamp, Version};

/// "This agent serves this stack", said directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The stack.
    pub stack_id: StackId,
    /// The agent.
    pub agent_id: AgentId,
    /// The stack's owner.
    pub generator_id: GeneratorId,
    /// Who said so.
    pub created_by: ActorRef,
    /// Grows with every change; goes on growing when a removed target is set again.
    pub version: Version,
    /// When it was set.
    pub created_at: Timestamp,
    /// Set on a tombstone.
    pub deleted_at: Option<Timestamp>,
}

impl Record for Target {
    type Id = (StackId, AgentId);

    fn id(&self) -> Self::Id {
        (self.stack_id, self.agent_id)
    }

    fn version(&self) -> Version {
        self.version
    }

    fn deleted_at(&self) -> Option<Timestamp> {
        self.deleted_at
    }

    fn generator(&self) -> Option<GeneratorId> {
        Some(self.generator_id)
    }
}
