//! Pages of pairs of stacks and agents, to explain their targeting decisions.

use brokkr_core::model::{Agent, AgentId, Stack, StackId};
use brokkr_core::targeting::{PolicyError, Verdict};

use crate::view::FleetView;
use crate::view::decide::verdict;
use crate::view::pair::PairOf;
use crate::view::state::ViewState;

/// Entries that are looked at under one acquisition of the view's lock.
const LOOKED_AT: usize = 256;

/// One stack and agent with the targeting decision.
pub(crate) struct PlacedPair {
    pub(crate) of: PairOf,
    pub(crate) verdict: Result<Verdict, PolicyError>,
}

impl FleetView {
    /// Evaluates a stack on the next `count` agents after `after` that `is_seen` accepts, ordered by agent.
    pub(crate) fn place_stack(
        &self,
        stack: StackId,
        after: Option<AgentId>,
        count: usize,
        is_seen: impl Fn(&Agent) -> bool,
    ) -> Vec<PlacedPair> {
        let look = |state: &ViewState, after| state.pairs_of_stack_after(stack, after, LOOKED_AT, &is_seen);
        self.placed(after, count, look)
    }

    /// Evaluates an agent for the next `count` living stacks after `after` that `is_seen` accepts, ordered by stack.
    pub(crate) fn place_agent(
        &self,
        agent: AgentId,
        after: Option<StackId>,
        count: usize,
        is_seen: impl Fn(&Stack) -> bool,
    ) -> Vec<PlacedPair> {
        let look = |state: &ViewState, after| state.pairs_of_agent_after(agent, after, LOOKED_AT, &is_seen);
        self.placed(after, count, look)
    }

    /// Looks until there are `count` pairs, a few at a time, and evaluates them without the lock.
    fn placed<K>(
        &self,
        after: Option<K>,
        count: usize,
        look: impl Fn(&ViewState, Option<K>) -> (Vec<PairOf>, Option<K>),
    ) -> Vec<PlacedPair> {
        let mut pairs = Vec::new();
        let mut next = Some(after);
        while pairs.len() < count
            && let Some(from) = next.take()
        {
            let (found, last) = look(&self.read(), from);
            pairs.extend(found);
            next = last.map(Some);
        }
        pairs.truncate(count);
        let evaluate = |of: PairOf| {
            let verdict = verdict(&*self.policy, of.owner.as_deref(), &of.stack, &of.agent, of.pair.direct);
            PlacedPair { of, verdict }
        };
        pairs.into_iter().map(evaluate).collect()
    }
}
