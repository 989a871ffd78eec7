//! Direct targets.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{ActorRef, AgentId, GeneratorId, StackId, Timestamp, Version};

/// A direct target: an agent that should serve a stack, whatever the stack's targeting rule selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The stack.
    pub stack_id: StackId,
    /// The agent.
    pub agent_id: AgentId,
    /// The stack's owner.
    pub generator_id: GeneratorId,
    /// The actor that set the target.
    pub created_by: ActorRef,
    /// The version: plus one with every change, also when a removed target is set again.
    pub version: Version,
    /// The time when the target was set.
    pub created_at: Timestamp,
    /// The time of removal. Set only on a tombstone.
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
