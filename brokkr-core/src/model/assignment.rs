//! Assignments: the memory that an agent was told to hold a stack.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{AgentId, GeneratorId, StackId, Timestamp, Version};

/// What became of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentState {
    /// The agent was told to hold the stack. If nothing matches them any more, it is told to remove it.
    Listed,
    /// An explicit order ended it: the agent is told to remove the stack until it reports that it did.
    Withdrawn,
    /// The agent reported that every object is gone.
    Gone,
    /// An admin stopped waiting for the agent. If it returns it is still told to remove the stack.
    Abandoned,
}

/// An (agent, stack) pair that was ever listed in a target state.
///
/// What an agent *should* hold is derived from stacks, agents and targets; this is what it *may* hold
/// because it was once told so. Without this memory, a pair that no longer matches would silently vanish from the target
/// state, and absence is never an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The agent.
    pub agent_id: AgentId,
    /// The stack.
    pub stack_id: StackId,
    /// The stack's owner.
    pub generator_id: GeneratorId,
    /// What became of it.
    pub state: AssignmentState,
    /// Grows with every change; goes on growing when the pair is listed again.
    pub version: Version,
    /// When the pair was listed first.
    pub created_at: Timestamp,
    /// When the state changed last.
    pub updated_at: Timestamp,
}

impl Assignment {
    /// Whether the agent may still hold something of the stack and is waited for.
    pub fn is_open(&self) -> bool {
        matches!(self.state, AssignmentState::Listed | AssignmentState::Withdrawn)
    }
}

impl Record for Assignment {
    type Id = (StackId, AgentId);

    fn id(&self) -> Self::Id {
        (self.stack_id, self.agent_id)
    }

    fn version(&self) -> Version {
        self.version
    }

    fn is_gone(&self) -> bool {
        self.state == AssignmentState::Gone
    }

    fn generator(&self) -> Option<GeneratorId> {
        Some(self.generator_id)
    }
}
