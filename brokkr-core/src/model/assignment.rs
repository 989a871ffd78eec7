//! Assignments: which stacks an agent may hold because they were in its target state.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{AgentId, GeneratorId, StackId, Timestamp, Version};

/// The state of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentState {
    /// The stack is in the agent's target state to apply, also if targeting no longer matches the pair, until a controller
    /// decides about that loss.
    Listed,
    /// Targeting no longer matches the pair, and a controller decided that this loss stands. The target state orders an
    /// unconfirmed removal, which the agent limits, until the agent reports it done.
    Lost,
    /// An explicit order ended the assignment. The target state orders a confirmed removal until the agent reports it
    /// done.
    Withdrawn,
    /// The agent reported that it removed every object.
    Gone,
    /// An admin stopped waiting for the agent. If the agent returns, its target state still orders the removal.
    Abandoned,
}

/// A pair of an agent and a stack that is or was in one target state.
///
/// Stacks, agents and targets determine what an agent *should* hold; assignments record what it *may* hold. They let
/// the broker order an explicit removal when a pair no longer matches: an agent never removes a stack because it is
/// absent from its target state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The agent.
    pub agent_id: AgentId,
    /// The stack.
    pub stack_id: StackId,
    /// The stack's owner.
    pub generator_id: GeneratorId,
    /// The state of the assignment.
    pub state: AssignmentState,
    /// The version: plus one with every change, also when the pair is assigned again.
    pub version: Version,
    /// The time of the first assignment.
    pub created_at: Timestamp,
    /// The time of the last change of state.
    pub updated_at: Timestamp,
}

impl Assignment {
    /// Whether the agent may still hold objects of the stack and the broker waits for it: `Listed`, `Lost` or
    /// `Withdrawn`.
    pub fn is_open(&self) -> bool {
        matches!(self.state, AssignmentState::Listed | AssignmentState::Lost | AssignmentState::Withdrawn)
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
