//! The input of a targeting policy: a stack and an agent.

use brokkr_core::model::{Agent, Stack};
use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};

use super::agent_builder::AgentBuilder;
use super::stack_builder::StackBuilder;

/// A stack and an agent, without a direct target unless [`direct`](Self::direct) adds one. Owns the values that a
/// [`Candidate`] borrows.
#[derive(Debug, Clone)]
pub struct Pair {
    stack: Stack,
    agent: Agent,
    direct: bool,
}

/// Builds a pair from a stack and an agent.
///
/// # Panics
///
/// Panics if a name, a label or an annotation is invalid.
#[must_use]
pub fn pair(stack: StackBuilder, agent: AgentBuilder) -> Pair {
    Pair { stack: stack.build(), agent: agent.build(), direct: false }
}

impl Pair {
    /// Adds a direct target.
    #[must_use]
    pub fn direct(mut self) -> Self {
        self.direct = true;
        self
    }

    /// Returns the argument of [`TargetingPolicy::evaluate`].
    #[must_use]
    pub fn candidate(&self) -> Candidate<'_> {
        Candidate::new(&self.stack, &self.agent, self.direct)
    }

    /// Evaluates the policy and returns its decision with the reasons.
    ///
    /// # Errors
    ///
    /// Returns the policy's error.
    pub fn verdict(&self, policy: &dyn TargetingPolicy) -> Result<Verdict, PolicyError> {
        policy.evaluate(&self.candidate())
    }

    /// Whether the agent serves the stack according to the policy.
    ///
    /// # Panics
    ///
    /// Panics if the policy fails or gives no reason for its decision.
    #[must_use]
    pub fn matches(&self, policy: &dyn TargetingPolicy) -> bool {
        let verdict = self.verdict(policy).expect("the policy should not fail");
        assert!(!verdict.reasons.is_empty(), "a verdict should have at least one reason");
        verdict.matched
    }
}
