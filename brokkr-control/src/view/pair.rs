//! One stack and agent in the fleet view.

use std::sync::Arc;

use brokkr_core::desired::Desired;
use brokkr_core::model::{Agent, AssignmentState, Revision, Stack};

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

    /// Whether the agent has not yet confirmed the removal.
    pub(crate) fn is_open(self) -> bool {
        matches!(self.assignment, Some(AssignmentState::Listed | AssignmentState::Withdrawn))
    }
}

/// One stack and agent with what the agent should hold, not evaluated by the policy.
#[derive(Debug, Clone)]
pub(crate) struct PairOf {
    pub(crate) stack: Arc<Stack>,
    pub(crate) agent: Arc<Agent>,
    pub(crate) pair: Pair,
    pub(crate) desired: Desired<Revision>,
}
