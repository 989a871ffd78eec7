//! Pairs that are listed although they no longer match.

use std::sync::Arc;

use brokkr_core::model::{Agent, AgentId, Stack, StackId};

use crate::view::FleetView;
use crate::view::decide::verdict;

impl FleetView {
    /// The stacks of an agent that are listed although they no longer match: nobody has decided yet about the loss.
    pub(crate) fn undecided_of_agent(&self, id: AgentId) -> Vec<StackId> {
        let state = self.read();
        let Some(entry) = state.agent(id) else { return Vec::new() };
        let undecided = entry.pairs.iter().filter(|(_, pair)| pair.is_undecided(entry.agent.status));
        undecided.map(|(stack, _)| *stack).collect()
    }

    /// The agents of a stack that have it listed although they no longer match.
    pub(crate) fn undecided_of_stack(&self, id: StackId) -> Vec<AgentId> {
        let pairs = self.read().pairs_of_stack(id);
        pairs.into_iter().filter(|(agent, pair)| pair.is_undecided(agent.status)).map(|(agent, _)| agent.id).collect()
    }

    /// What the verdict about a pair depends on: the stack, the agent, and whether there is a direct target.
    pub(crate) fn parts_of_pair(&self, stack: StackId, agent: AgentId) -> Option<(Arc<Stack>, Arc<Agent>, bool)> {
        let state = self.read();
        let (entry, found) = (state.agent(agent)?, state.stack(stack)?);
        let direct = entry.pairs.get(&stack).is_some_and(|pair| pair.direct);
        Some((found, entry.agent.clone(), direct))
    }

    /// Whether the policy matches a pair; `None` if the policy fails. Holds no lock.
    pub(crate) fn matches(&self, stack: &Stack, agent: &Agent, direct: bool) -> Option<bool> {
        verdict(&*self.policy, stack, agent, direct).ok().map(|verdict| verdict.matched)
    }
}
