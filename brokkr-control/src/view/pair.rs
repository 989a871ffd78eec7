//! One stack and agent in the fleet view.

use std::sync::Arc;

use brokkr_core::desired::{Desired, Why};
use brokkr_core::model::{Agent, AgentStatus, AssignmentState, GeneratorPrincipal, Revision, Stack};

/// The state of one stack and agent that match, have a direct target, or once had an assignment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Whether the agent should serve the stack, according to registration and policy.
    pub(crate) matched: bool,
    /// Whether a direct target exists.
    pub(crate) direct: bool,
    /// The state of the assignment, if there ever was one.
    pub(crate) assignment: Option<AssignmentState>,
}

impl Pair {
    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Whether targeting gives the stack to an agent with this status: it matches, and it is already listed or the agent
    /// accepts new stacks.
    pub(crate) fn is_placed(self, agent: AgentStatus) -> bool {
        self.matched && (agent == AgentStatus::Active || self.assignment == Some(AssignmentState::Listed))
    }

    /// Whether the agent has not yet confirmed the removal.
    pub(crate) fn is_open(self) -> bool {
        matches!(self.assignment, Some(AssignmentState::Listed | AssignmentState::Lost | AssignmentState::Withdrawn))
    }
}

/// One stack and agent with what the agent should hold, not evaluated by the policy.
#[derive(Debug, Clone)]
pub(crate) struct PairOf {
    pub(crate) stack: Arc<Stack>,
    /// The stack's generator.
    pub(crate) owner: Option<Arc<GeneratorPrincipal>>,
    pub(crate) agent: Arc<Agent>,
    pub(crate) pair: Pair,
    pub(crate) desired: Desired<Revision>,
}

impl PairOf {
    /// Whether the pair is listed although it no longer matches: nobody has decided yet about the loss.
    pub(crate) fn is_undecided(&self) -> bool {
        self.desired.why() == Why::LossUndecided
    }
}
