//! The contents of the fleet view, and how it folds changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Instant;

use brokkr_core::model::{
    Agent, AgentId, AgentSilence, AgentStatus, ApiKey, Assignment, AssignmentState, Change, DeploymentObject,
    GeneratorId, Grant, GrantId, JoinToken, KeyId, KeyOwner, Name, Stack, StackId, StackPhase, Target, Timestamp,
};
use brokkr_core::store::ViewToken;
use brokkr_core::targeting::TargetingPolicy;

use crate::view::agent_entry::{AgentEntry, Pair, PairOf, Wanted};
use crate::view::decide::verdict;
use crate::view::stack_entry::StackEntry;
use crate::view::tenants::Tenants;

/// An agent that a stack reaches, and its grant for the stack's generator.
pub(crate) type Reached = (Arc<Agent>, Option<Arc<Grant>>);

pub(crate) struct ViewState {
    policy: Arc<dyn TargetingPolicy>,
    token: ViewToken,
    keys: BTreeMap<String, Arc<ApiKey>>,
    key_ends: BTreeMap<KeyId, Option<Timestamp>>,
    join_tokens: BTreeMap<String, Arc<JoinToken>>,
    tenants: Tenants,
    agents: BTreeMap<AgentId, AgentEntry>,
    silences: BTreeMap<AgentId, Arc<AgentSilence>>,
    stacks: BTreeMap<StackId, StackEntry>,
    /// Start time of the last successful read of the store.
    read_at: Instant,
}

impl ViewState {
    pub(crate) fn new(policy: Arc<dyn TargetingPolicy>, read_at: Instant) -> Self {
        // This token belongs to no epoch, so the first read loads a snapshot.
        let token = ViewToken::nothing();
        Self {
            policy,
            token,
            keys: BTreeMap::new(),
            key_ends: BTreeMap::new(),
            join_tokens: BTreeMap::new(),
            tenants: Tenants::default(),
            agents: BTreeMap::new(),
            silences: BTreeMap::new(),
            stacks: BTreeMap::new(),
            read_at,
        }
    }

    /// Discards everything except the channels of agents in the snapshot, because waiting polls hold them.
    pub(crate) fn clear(&mut self, snapshot: &[Change]) {
        let there: BTreeSet<AgentId> = snapshot
            .iter()
            .filter_map(|entity| match entity {
                Change::Agent(it) => Some(it.id),
                _ => None,
            })
            .collect();
        self.agents.retain(|id, _| there.contains(id));
        self.keys.clear();
        self.key_ends.clear();
        self.join_tokens.clear();
        self.tenants = Tenants::default();
        self.silences.clear();
        self.stacks.clear();
        for entry in self.agents.values_mut() {
            entry.pairs.clear();
            entry.touch();
        }
    }

    pub(crate) fn token(&self) -> &ViewToken {
        &self.token
    }

    pub(crate) fn read_at(&self) -> Instant {
        self.read_at
    }

    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.agents.len(), self.stacks.len())
    }

    pub(crate) fn stacks(&self) -> impl Iterator<Item = &Arc<Stack>> {
        self.stacks.values().map(|entry| &entry.stack)
    }

    pub(crate) fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values().map(|entry| &entry.agent)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.keys.values()
    }

    pub(crate) fn key(&self, short_id: &str) -> Option<&Arc<ApiKey>> {
        self.keys.get(short_id)
    }

    pub(crate) fn join_token(&self, short_id: &str) -> Option<&Arc<JoinToken>> {
        self.join_tokens.get(short_id)
    }

    pub(crate) fn admin_keys(&self) -> Vec<Arc<ApiKey>> {
        self.keys.values().filter(|key| key.owner == KeyOwner::Admin).cloned().collect()
    }

    pub(crate) fn key_ends(&self, id: KeyId) -> Option<Option<Timestamp>> {
        self.key_ends.get(&id).copied()
    }

    pub(crate) fn agent(&self, id: AgentId) -> Option<&AgentEntry> {
        self.agents.get(&id)
    }

    pub(crate) fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values().map(|entry| &entry.agent)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.keys.values()
    }

    pub(crate) fn join_tokens(&self) -> impl Iterator<Item = &Arc<JoinToken>> {
        self.join_tokens.values()
    }

    pub(crate) fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    pub(crate) fn silence(&self, id: AgentId) -> Option<&Arc<AgentSilence>> {
        self.silences.get(&id)
    }

    pub(crate) fn has_generator(&self, id: GeneratorId) -> bool {
        self.tenants.has_generator(id)
    }

    pub(crate) fn stack(&self, id: StackId) -> Option<Arc<Stack>> {
        self.stacks.get(&id).map(|entry| entry.stack.clone())
    }

    pub(crate) fn stack_with_object(&self, id: StackId) -> Option<(Arc<Stack>, Option<Arc<DeploymentObject>>)> {
        self.stacks.get(&id).map(|entry| (entry.stack.clone(), entry.object.clone()))
    }

    /// An agent's status and its target state.
    pub(crate) fn wanted(&self, id: AgentId) -> Option<(AgentStatus, Arc<Wanted>)> {
        let entry = self.agents.get(&id)?;
        Some((entry.agent.status, entry.wanted(self.token.epoch(), &self.stacks, &self.tenants)))
    }

    /// Folds a batch of whole commits, so that readers never see part of a commit.
    pub(crate) fn fold(&mut self, entities: Vec<Change>, token: ViewToken, began: Instant) {
        // Referenced entities come first, so that both sides of every pair exist when it is evaluated.
        let mut entities = entities;
        entities.sort_by_key(|entity| entity.key().kind());
        let mut maybe_forgotten = Vec::new();
        for entity in entities {
            match &entity {
                Change::Stack(it) if it.deleted_at.is_some() => maybe_forgotten.push(it.id),
                Change::Assignment(it) if it.state == AssignmentState::Gone => maybe_forgotten.push(it.stack_id),
                _ => {}
            }
            match entity {
                Change::Generator(it) => {
                    let id = it.id;
                    if self.tenants.fold_generator(it) {
                        self.evaluate_stacks_of(id);
                    }
                    // Target states contain its name, and listings depend on its version.
                    self.touch_agents_with(|generator, _| generator == id);
                }
                Change::Grant(it) => {
                    let id = it.id;
                    self.tenants.fold_grant(it);
                    self.touch_agents_with(|_, grant| grant == id);
                }
                Change::Key(it) => self.fold_key(it),
                Change::JoinToken(it) => self.fold_join_token(it),
                Change::Agent(it) => self.fold_agent(it),
                Change::AgentSilence(it) if it.deleted_at.is_some() => drop(self.silences.remove(&it.agent_id)),
                Change::AgentSilence(it) => drop(self.silences.insert(it.agent_id, Arc::new(it))),
                Change::Stack(it) => self.fold_stack(it),
                Change::DeploymentObject(it) => self.fold_object(it),
                Change::Target(it) => self.fold_target(&it),
                Change::Assignment(it) => self.fold_assignment(&it),
                // These entities do not affect target states.
                Change::Environment(_) | Change::AgentSession(_) | Change::StackStatus(_) | Change::Event(_) => {}
            }
        }
        for stack in maybe_forgotten {
            self.drop_if_forgotten(stack);
        }
        self.token = token;
        self.read_at = began;
    }

    fn fold_key(&mut self, key: ApiKey) {
        // A waiting poll must end when its key ends.
        if (key.deleted_at.is_some() || key.expires_at.is_some())
            && let KeyOwner::Agent { id } = key.owner
            && let Some(entry) = self.agents.get_mut(&id)
        {
            entry.touch();
        }
        if key.deleted_at.is_some() {
            self.key_ends.remove(&key.id);
            self.keys.remove(&key.short_id);
            return;
        }
        self.key_ends.insert(key.id, key.expires_at);
        self.keys.insert(key.short_id.clone(), Arc::new(key));
    }

    fn fold_join_token(&mut self, token: JoinToken) {
        if token.deleted_at.is_some() {
            self.join_tokens.remove(&token.short_id);
        } else {
            self.join_tokens.insert(token.short_id.clone(), Arc::new(token));
        }
    }

    fn fold_agent(&mut self, agent: Agent) {
        let id = agent.id;
        if agent.deleted_at.is_some() {
            if let Some(mut entry) = self.agents.remove(&id) {
                entry.touch();
                for stack in entry.pairs.keys() {
                    if let Some(stack) = self.stacks.get_mut(stack) {
                        stack.agents.remove(&id);
                    }
                }
            }
            return;
        }
        let agent = Arc::new(agent);
        let is_new = !self.agents.contains_key(&id);
        let entry = self.agents.entry(id).or_insert_with(|| AgentEntry::new(agent.clone()));
        let before = std::mem::replace(&mut entry.agent, agent.clone());
        entry.touch();
        if is_new
            || before.environment != agent.environment
            || before.labels != agent.labels
            || before.annotations != agent.annotations
            || before.registrations != agent.registrations
            || before.status != agent.status
        {
            let stacks: Vec<StackId> = self.stacks.keys().copied().collect();
            for stack in stacks {
                self.evaluate(stack, id);
            }
        }
    }

    fn fold_stack(&mut self, stack: Stack) {
        let id = stack.id;
        let stack = Arc::new(stack);
        let entry = self.stacks.entry(id).or_insert_with(|| StackEntry {
            stack: stack.clone(),
            object: None,
            agents: BTreeSet::new(),
        });
        entry.stack = stack;
        let agents: Vec<AgentId> = self.agents.keys().copied().collect();
        for agent in agents {
            self.evaluate(id, agent);
        }
        self.touch_agents_of(id);
    }

    fn fold_object(&mut self, object: DeploymentObject) {
        let Some(entry) = self.stacks.get_mut(&object.stack_id) else {
            return;
        };
        if entry.object.as_ref().is_some_and(|newest| newest.revision >= object.revision) {
            return;
        }
        let id = object.stack_id;
        entry.object = Some(Arc::new(object));
        self.touch_agents_of(id);
    }

    fn fold_target(&mut self, target: &Target) {
        let direct = target.deleted_at.is_none();
        self.with_pair(target.stack_id, target.agent_id, |pair| pair.direct = direct);
        self.evaluate(target.stack_id, target.agent_id);
    }

    fn fold_assignment(&mut self, assignment: &Assignment) {
        let state = Some(assignment.state).filter(|state| *state != AssignmentState::Gone);
        self.with_pair(assignment.stack_id, assignment.agent_id, |pair| pair.assignment = state);
    }

    /// Updates a pair and both indices, and touches the agent if the pair changed.
    fn with_pair(&mut self, stack: StackId, agent: AgentId, change: impl FnOnce(&mut Pair)) {
        let (Some(stack_entry), Some(agent_entry)) = (self.stacks.get_mut(&stack), self.agents.get_mut(&agent)) else {
            return;
        };
        let before = agent_entry.pairs.get(&stack).copied().unwrap_or_default();
        let mut pair = before;
        change(&mut pair);
        if pair == before {
            return;
        }
        if pair.is_nothing() {
            agent_entry.pairs.remove(&stack);
            stack_entry.agents.remove(&agent);
        } else {
            agent_entry.pairs.insert(stack, pair);
            stack_entry.agents.insert(agent);
        }
        agent_entry.touch();
    }

    /// Evaluates one pair again. If the policy fails, the previous decision stays.
    fn evaluate(&mut self, stack: StackId, agent: AgentId) {
        let (Some(stack_entry), Some(agent_entry)) = (self.stacks.get(&stack), self.agents.get(&agent)) else {
            return;
        };
        let direct = agent_entry.pairs.get(&stack).is_some_and(|pair| pair.direct);
        let owner = self.tenants.generator(stack_entry.stack.generator_id).map(Arc::as_ref);
        let matched = match verdict(&*self.policy, owner, &stack_entry.stack, &agent_entry.agent, direct) {
            Ok(verdict) => verdict.matched,
            Err(error) => {
                tracing::error!(%stack, %agent, %error, "the targeting policy failed; keeping the previous decision");
                return;
            }
        };
        self.with_pair(stack, agent, |pair| pair.matched = matched);
    }

    /// Evaluates all stacks of a generator again.
    fn evaluate_stacks_of(&mut self, generator: GeneratorId) {
        let of_generator = self.stacks.values().filter(|it| it.stack.generator_id == generator);
        let stacks: Vec<StackId> = of_generator.map(|it| it.stack.id).collect();
        let agents: Vec<AgentId> = self.agents.keys().copied().collect();
        for stack in stacks {
            agents.iter().for_each(|agent| self.evaluate(stack, *agent));
        }
    }

    /// Touches the agents with such a registration.
    fn touch_agents_with(&mut self, is_such: impl Fn(GeneratorId, GrantId) -> bool) {
        let is_affected = |entry: &&mut AgentEntry| {
            entry.agent.registrations.iter().any(|(generator, grant)| is_such(*generator, *grant))
        };
        self.agents.values_mut().filter(is_affected).for_each(AgentEntry::touch);
    }

    /// The agents that match a stack, or all that are registered with its generator if none matches, each with its grant. For
    /// a stack that the view does not know, all registered agents, and `false`: the caller decides which ones match.
    pub(crate) fn reached_by(&self, stack: &Stack) -> (Vec<Reached>, bool) {
        let owner = self.tenants.generator(stack.generator_id);
        let is_registered = |entry: &&AgentEntry| {
            let agent = &entry.agent;
            agent.status != AgentStatus::Retired
                && agent.registrations.contains_key(&stack.generator_id)
                && owner.is_none_or(|owner| owner.reaches(agent.environment.as_ref()))
        };
        let with_grant = |entry: &AgentEntry| {
            let grant = self.tenants.grant(&entry.agent, stack.generator_id);
            (entry.agent.clone(), grant.cloned())
        };
        let registered = || self.agents.values().filter(is_registered).map(with_grant).collect();
        let Some(known) = self.stacks.get(&stack.id) else {
            return (registered(), false);
        };
        // The index spares a look at every agent with each publication.
        let agents = known.agents.iter().filter_map(|id| self.agents.get(id)).filter(is_registered);
        let matching = agents.filter(|entry| entry.pairs.get(&stack.id).is_some_and(|it| it.matched));
        let reached: Vec<_> = matching.map(with_grant).collect();
        (if reached.is_empty() { registered() } else { reached }, true)
    }

    pub(crate) fn generator_beside(&self, name: &Name) -> Option<Name> {
        self.tenants.beside(name).cloned()
    }

    pub(crate) fn generator_name(&self, id: GeneratorId) -> Option<Name> {
        self.tenants.name(id).cloned()
    }

    fn touch_agents_of(&mut self, stack: StackId) {
        let Some(entry) = self.stacks.get(&stack) else {
            return;
        };
        for agent in &entry.agents {
            if let Some(agent) = self.agents.get_mut(agent) {
                agent.touch();
            }
        }
    }

    /// Removes a tombstone that no agent can hold any more.
    fn drop_if_forgotten(&mut self, id: StackId) {
        let Some(entry) = self.stacks.get(&id) else {
            return;
        };
        let held = |agent: &AgentId| {
            self.agents.get(agent).and_then(|it| it.pairs.get(&id)).is_some_and(|pair| pair.assignment.is_some())
        };
        if entry.stack.deleted_at.is_none() || entry.agents.iter().any(held) {
            return;
        }
        if let Some(entry) = self.stacks.remove(&id) {
            for agent in entry.agents {
                if let Some(agent) = self.agents.get_mut(&agent) {
                    agent.pairs.remove(&id);
                    agent.touch();
                }
            }
        }
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

    pub(crate) fn pairs_of_stack(&self, stack: StackId) -> Vec<(Arc<Agent>, Pair)> {
        let Some(entry) = self.stacks.get(&stack) else {
            return Vec::new();
        };
        let known = entry.agents.iter().filter_map(|id| self.agents.get(id));
        known.filter_map(|it| Some((it.agent.clone(), *it.pairs.get(&stack)?))).collect()
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

    /// The next stack of a generator, by id.
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

    fn pair_of(&self, stack: &StackEntry, agent: &AgentEntry) -> PairOf {
        let pair = agent.pairs.get(&stack.stack.id).copied().unwrap_or_default();
        let owner = self.tenants.generator(stack.stack.generator_id).cloned();
        PairOf { stack: stack.stack.clone(), owner, agent: agent.agent.clone(), pair }
    }
}
