//! Targeting decisions on data of the fleet view. Nothing here holds the view's lock, which polls need.

use brokkr_core::model::{Agent, AgentStatus, Stack};
use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};

/// Why an agent may not serve a stack, whatever selects it; `None` if it may.
pub(crate) fn refusal(stack: &Stack, agent: &Agent) -> Option<&'static str> {
    if agent.status == AgentStatus::Retired {
        return Some("the agent is retired");
    }
    let is_registered = agent.registrations.contains_key(&stack.generator_id);
    (!is_registered).then_some("the agent is not registered with the stack's generator")
}

/// Checks registration and the states of both sides, then asks the policy.
pub(crate) fn verdict(
    policy: &dyn TargetingPolicy,
    stack: &Stack,
    agent: &Agent,
    direct: bool,
) -> Result<Verdict, PolicyError> {
    if !stack.is_active() {
        return Ok(Verdict::unmatched("the stack is being deleted"));
    }
    if let Some(refusal) = refusal(stack, agent) {
        return Ok(Verdict::unmatched(refusal));
    }
    policy.evaluate(&Candidate::new(stack, agent, direct))
}

/// Whether the policy matches this stack and agent. True if the policy fails, so that a failure never withdraws a stack.
pub(crate) fn may_match(policy: &dyn TargetingPolicy, stack: &Stack, agent: &Agent, direct: bool) -> bool {
    verdict(policy, stack, agent, direct).map_or(true, |verdict| verdict.matched)
}
