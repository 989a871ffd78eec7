//! Reads of pairs in the fleet view.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use brokkr_core::model::{
    Agent, AgentId, AgentStatus, FrozenRevision, GeneratorId, Grant, Name, Pin, ReleaseMode, Stack, StackId,
    StackPhase, StackRelease,
};

use crate::view::agent_entry::AgentEntry;
use crate::view::decide::refusal;
use crate::view::desire::desire;
use crate::view::environments::SeenEnvironment;
use crate::view::pair::PairOf;
use crate::view::stack_entry::StackEntry;
use crate::view::state::ViewState;

/// An agent that a stack reaches, and its grant for the stack's generator.
pub(crate) type Reached = (Arc<Agent>, Option<Arc<Grant>>);

impl ViewState {
    /// The agents that match a stack, or all that are registered with its generator if none matches, each with its grant. For
    /// a stack that the view does not know, all registered agents, and `false`: the caller decides which ones match.
    pub(crate) fn reached_by(&self, stack: &Stack) -> (Vec<Reached>, bool) {
        let owner = self.tenants.generator(stack.generator_id).map(Arc::as_ref);
        let is_permitted = |entry: &&AgentEntry| refusal(owner, stack, &entry.agent).is_none();
        let with_grant = |entry: &AgentEntry| {
            let grant = self.tenants.grant(&entry.agent, stack.generator_id);
            (entry.agent.clone(), grant.cloned())
        };
        let registered = || self.agents.values().filter(is_permitted).map(with_grant).collect();
        let Some(known) = self.stacks.get(&stack.id) else {
            return (registered(), false);
        };
        // The index spares a look at every agent with each publication.
        let agents = known.agents.iter().filter_map(|id| self.agents.get(id)).filter(is_permitted);
        let matching = agents.filter(|entry| entry.pairs.get(&stack.id).is_some_and(|it| it.matched));
        let reached: Vec<_> = matching.map(with_grant).collect();
        (if reached.is_empty() { registered() } else { reached }, true)
    }

    pub(crate) fn open_of_agent(&self, agent: AgentId) -> Vec<StackId> {
        let Some(entry) = self.agents.get(&agent) else {
            return Vec::new();
        };
        entry.pairs.iter().filter(|(_, pair)| pair.is_open()).map(|(stack, _)| *stack).collect()
    }

    /// Whether an agent still has to confirm the removal of a deleting stack; `None` if the stack is not being deleted.
    pub(crate) fn is_waited_for(&self, id: StackId) -> Option<bool> {
        let entry = self.stacks.get(&id)?;
        if entry.stack.phase != StackPhase::Deleting || entry.stack.deleted_at.is_some() {
            return None;
        }
        let waits = |agent: &AgentEntry| {
            agent.agent.status != AgentStatus::Retired && agent.pairs.get(&id).is_some_and(|pair| pair.is_open())
        };
        Some(entry.agents.iter().filter_map(|agent| self.agents.get(agent)).any(waits))
    }

    /// The pairs of a stack that match, have a direct target, or may be held.
    pub(crate) fn pairs_of_stack(&self, stack: StackId) -> Vec<PairOf> {
        let Some(entry) = self.stacks.get(&stack) else {
            return Vec::new();
        };
        let known = entry.agents.iter().filter_map(|id| self.agents.get(id));
        known.map(|agent| self.pair_of(entry, agent)).collect()
    }

    /// The pairs of an agent that match, have a direct target, or may be held.
    pub(crate) fn pairs_of_agent(&self, agent: AgentId) -> Vec<PairOf> {
        let Some(entry) = self.agents.get(&agent) else {
            return Vec::new();
        };
        let known = entry.pairs.keys().filter_map(|id| self.stacks.get(id));
        known.map(|stack| self.pair_of(stack, entry)).collect()
    }

    /// A pair, also one that the view has no state of.
    pub(crate) fn pair(&self, stack: StackId, agent: AgentId) -> Option<PairOf> {
        Some(self.pair_of(self.stacks.get(&stack)?, self.agents.get(&agent)?))
    }

    fn pair_of(&self, stack: &StackEntry, agent: &AgentEntry) -> PairOf {
        let pair = agent.pairs.get(&stack.stack.id).copied().unwrap_or_default();
        let desired = desire(stack, &agent.agent, pair, &self.tenants, &self.environments).map(|it| it.revision);
        let owner = self.tenants.generator(stack.stack.generator_id).cloned();
        PairOf { stack: stack.stack.clone(), owner, agent: agent.agent.clone(), pair, desired }
    }

    /// The releases of a stack, ordered by id.
    pub(crate) fn releases_of(&self, stack: StackId) -> Vec<Arc<StackRelease>> {
        let entry = self.stacks.get(&stack);
        let mut releases: Vec<_> = entry.iter().flat_map(|entry| entry.releases.values().cloned()).collect();
        releases.sort_by_key(|it| it.id);
        releases
    }

    /// The pins of a stack, ordered by agent.
    pub(crate) fn pins_of(&self, stack: StackId) -> Vec<Arc<Pin>> {
        self.stacks.get(&stack).iter().flat_map(|entry| entry.pins.values().cloned()).collect()
    }

    /// The pins on an agent.
    pub(crate) fn pins_on(&self, agent: AgentId) -> Vec<Arc<Pin>> {
        self.stacks.values().filter_map(|entry| entry.pins.get(&agent).cloned()).collect()
    }

    /// The pins that end, the one that ends first at the beginning; at most `limit` of them.
    pub(crate) fn ending_pins(&self, limit: usize) -> Vec<Arc<Pin>> {
        let pins = self.stacks.values().flat_map(|entry| entry.pins.values());
        let mut ending: Vec<_> = pins.filter(|pin| pin.expires_at.is_some()).collect();
        ending.sort_by_key(|pin| (pin.expires_at, pin.id));
        ending.into_iter().take(limit).cloned().collect()
    }

    /// The environment that an agent is in.
    pub(crate) fn environment_of(&self, agent: AgentId) -> Option<SeenEnvironment> {
        self.environments.of(&self.agents.get(&agent)?.agent).cloned()
    }

    /// The environments of the agents that may hold a stack, each once; `None` for agents without one.
    pub(crate) fn environments_holding(&self, stack: StackId) -> Vec<Option<SeenEnvironment>> {
        let entry = self.stacks.get(&stack);
        let agents = entry.iter().flat_map(|entry| &entry.agents).filter_map(|id| self.agents.get(id));
        let holding = agents.filter(|it| it.pairs.get(&stack).is_some_and(|pair| pair.is_open()));
        let found: BTreeMap<_, _> = holding
            .map(|it| self.environments.of(&it.agent))
            .map(|it| (it.map(|environment| environment.id), it.cloned()))
            .collect();
        found.into_values().collect()
    }

    /// The stacks whose newest revision the agents of an environment should hold because it is the newest.
    pub(crate) fn newest_in(&self, environment: &Name) -> BTreeMap<StackId, (Arc<Stack>, FrozenRevision)> {
        let is_in = |it: &&AgentEntry| it.agent.environment.as_ref() == Some(environment);
        let mut found = BTreeMap::new();
        for agent in self.agents.values().filter(is_in) {
            for (id, pair) in &agent.pairs {
                let Some(entry) = self.stacks.get(id).filter(|_| !found.contains_key(id)) else { continue };
                // Pinned and suspended pairs follow the newest revision once that ends.
                let follows = pair.matched && entry.stack.is_active() && entry.stack.release == ReleaseMode::Immediate;
                if let Some(newest) = entry.newest.as_ref().filter(|_| follows) {
                    found.insert(*id, (entry.stack.clone(), newest.clone()));
                }
            }
        }
        found
    }

    /// Looks at `limit` agents after `after`. Returns those that `is_seen` accepts, each with the stack, and the last agent
    /// looked at if there are more.
    pub(crate) fn pairs_of_stack_after(
        &self,
        stack: StackId,
        after: Option<AgentId>,
        limit: usize,
        is_seen: impl Fn(&Agent) -> bool,
    ) -> (Vec<PairOf>, Option<AgentId>) {
        let Some(entry) = self.stacks.get(&stack) else {
            return (Vec::new(), None);
        };
        let looked_at: Vec<_> = self.agents.range((after.map_or(Unbounded, Excluded), Unbounded)).take(limit).collect();
        let seen = looked_at.iter().filter(|(_, agent)| is_seen(&agent.agent));
        let pairs = seen.map(|(_, agent)| self.pair_of(entry, agent)).collect();
        (pairs, looked_at.get(limit.saturating_sub(1)).map(|(id, _)| **id))
    }

    /// The next living stack of a generator, by id.
    pub(crate) fn stack_of_after(&self, generator: GeneratorId, after: Option<StackId>) -> Option<StackId> {
        let mut rest = self.stacks.range((after.map_or(Unbounded, Excluded), Unbounded));
        rest.find(|(_, entry)| entry.stack.generator_id == generator && entry.stack.is_active()).map(|(id, _)| *id)
    }

    /// Looks at `limit` stacks after `after`. Returns the living ones that `is_seen` accepts, each with the agent, and the
    /// last stack looked at if there are more.
    pub(crate) fn pairs_of_agent_after(
        &self,
        agent: AgentId,
        after: Option<StackId>,
        limit: usize,
        is_seen: impl Fn(&Stack) -> bool,
    ) -> (Vec<PairOf>, Option<StackId>) {
        let Some(entry) = self.agents.get(&agent) else {
            return (Vec::new(), None);
        };
        let looked_at: Vec<_> = self.stacks.range((after.map_or(Unbounded, Excluded), Unbounded)).take(limit).collect();
        let is_living = |stack: &StackEntry| stack.stack.deleted_at.is_none() && is_seen(&stack.stack);
        let living = looked_at.iter().filter(|(_, stack)| is_living(stack));
        let pairs = living.map(|(_, stack)| self.pair_of(stack, entry)).collect();
        (pairs, looked_at.get(limit.saturating_sub(1)).map(|(id, _)| **id))
    }
}
