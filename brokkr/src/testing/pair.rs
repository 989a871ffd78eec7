//! A stack and an agent about which a policy decides.

use brokkr_core::model::{Agent, Stack};
use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};

use super::agent_builder::AgentBuilder;
use super::stack_builder::StackBuilder;

/// A stack and an agent, without a direct target unless [`direct`](Self::direct) says so. Owns what a [`Candidate`] borrows.
#[derive(Debug, Clone)]
pub struct Pair {
    stack: Stack,
    agent: Agent,
    direct: bool,
}

/// The pair of this stack and this agent.
///
/// # Panics
///
/// When a name, a label or an annotation of either is not valid.
#[must_use]
pub fn pair(stack: StackBuilder, agent: AgentBuilder) -> Pair {
    Pair { stack: stack.build(), agent: agent.build(), direct: false }
}

impl Pair {
    /// Adds a direct target of the stack at the agent.
    #[must_use]
    pub fn direct(mut self) -> Self {
        self.direct = true;
        self
    }

    /// What a policy is asked about.
    #[must_use]
    pub fn candidate(&self) -> Candidate<'_> {
        Candidate::new(&self.stack, &self.agent, self.direct)
    }

    /// What the policy decides, with its reasons.
    ///
    /// # Errors
    ///
    /// The policy's own.
    pub fn verdict(&self, policy: &dyn TargetingPolicy) -> Result<Verdict, PolicyError> {
        policy.evaluate(&self.candidate())
    }

    /// Whether the agent serves the stack according to the policy.
    ///
    /// # Panics
    ///
    /// When the policy fails, or gives no reason for its verdict.
    #[must_use]
    pub fn matches(&self, policy: &dyn TargetingPolicy) -> bool {
        let verdict = self.verdict(policy).expect("a policy that decides");
        assert!(!verdict.reasons.is_empty(), "a verdict needs at least one reason");
        verdict.matched
    }
}
