//! Targeting decisions on data of the fleet view. Nothing here holds the view's lock, which polls need.

use brokkr_core::model::{Agent, AgentStatus, GeneratorPrincipal, Stack};
use brokkr_core::targeting::{Candidate, PolicyError, TargetingPolicy, Verdict};

/// Why an agent may not serve a stack, whatever selects it; `None` if it may. `owner` is the stack's generator.
pub(crate) fn refusal(owner: Option<&GeneratorPrincipal>, stack: &Stack, agent: &Agent) -> Option<&'static str> {
    if agent.status == AgentStatus::Retired {
        return Some("the agent is retired");
    }
    if owner.is_some_and(|owner| !owner.reaches(agent.environment.as_ref())) {
        return Some("the stack's generator is limited to environments that the agent is not in");
    }
    let is_registered = agent.registrations.contains_key(&stack.generator_id);
    (!is_registered).then_some("the agent is not registered with the stack's generator")
}

/// Checks the states of both sides, isolation and registration, then asks the policy. `owner` is the stack's generator.
pub(crate) fn verdict(
    policy: &dyn TargetingPolicy,
    owner: Option<&GeneratorPrincipal>,
    stack: &Stack,
    agent: &Agent,
    direct: bool,
) -> Result<Verdict, PolicyError> {
    if !stack.is_active() {
        return Ok(Verdict::unmatched("the stack is being deleted"));
    }
    if let Some(refusal) = refusal(owner, stack, agent) {
        return Ok(Verdict::unmatched(refusal));
    }
    policy.evaluate(&Candidate::new(stack, agent, direct))
}

/// Whether the policy matches this stack and agent. True if the policy fails, so that a failure never withdraws a stack.
pub(crate) fn may_match(
    policy: &dyn TargetingPolicy,
    owner: Option<&GeneratorPrincipal>,
    stack: &Stack,
    agent: &Agent,
    direct: bool,
) -> bool {
    verdict(policy, owner, stack, agent, direct).map_or(true, |verdict| verdict.matched)
}
