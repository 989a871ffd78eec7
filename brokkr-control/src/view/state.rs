//! The contents of the fleet view, and how it folds changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use brokkr_core::model::{
    Agent, AgentId, AgentSilence, AgentStatus, ApiKey, Assignment, AssignmentState, Change, DeploymentObject,
    GeneratorId, GrantId, JoinToken, KeyId, KeyOwner, Name, Pin, Stack, StackId, Target, Timestamp,
};
use brokkr_core::store::ViewToken;
use brokkr_core::targeting::TargetingPolicy;

use crate::view::agent_entry::{AgentEntry, Surroundings, Wanted};
use crate::view::decide::verdict;
use crate::view::desire::{Order, desire};
use crate::view::environments::Environments;
use crate::view::index::Index;
use crate::view::pair::Pair;
use crate::view::stack_entry::StackEntry;
use crate::view::tenants::Tenants;

pub(crate) struct ViewState {
    policy: Arc<dyn TargetingPolicy>,
    token: ViewToken,
    keys: BTreeMap<String, Arc<ApiKey>>,
    key_ends: BTreeMap<KeyId, Option<Timestamp>>,
    join_tokens: BTreeMap<String, Arc<JoinToken>>,
    pub(super) tenants: Tenants,
    pub(super) environments: Environments,
    pub(super) agents: BTreeMap<AgentId, AgentEntry>,
    silences: BTreeMap<AgentId, Arc<AgentSilence>>,
    pub(super) stacks: BTreeMap<StackId, StackEntry>,
    index: Index,
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
            environments: Environments::default(),
            agents: BTreeMap::new(),
            silences: BTreeMap::new(),
            stacks: BTreeMap::new(),
            index: Index::default(),
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
        self.index = Index::default();
        self.agents.values().for_each(|entry| self.index.add_agent(&entry.agent));
        self.keys.clear();
        self.key_ends.clear();
        self.join_tokens.clear();
        self.tenants = Tenants::default();
        self.environments = Environments::default();
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
        let surroundings = Surroundings {
            epoch: self.token.epoch(),
            stacks: &self.stacks,
            tenants: &self.tenants,
            environments: &self.environments,
        };
        Some((entry.agent.status, entry.wanted(surroundings)))
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
                Change::Environment(it) => {
                    if let Some(name) = self.environments.fold(it) {
                        self.touch_agents_in(&name);
                    }
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
                Change::StackRelease(it) => self.change_stack(it.stack_id, |stack| stack.fold_release(it)),
                Change::Pin(it) => self.fold_pin(it),
                // These entities do not affect target states.
                Change::AgentSession(_) | Change::StackStatus(_) | Change::Event(_) => {}
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
                self.index.remove_agent(&entry.agent);
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
        self.index.remove_agent(&before);
        self.index.add_agent(&agent);
        if is_new
            || before.environment != agent.environment
            || before.labels != agent.labels
            || before.annotations != agent.annotations
            || before.registrations != agent.registrations
            || before.status != agent.status
        {
            let mut stacks = self.index.stacks_for(&agent);
            stacks.extend(self.agents.get(&id).iter().flat_map(|entry| entry.pairs.keys()));
            for stack in stacks {
                self.evaluate(stack, id);
            }
        }
    }

    fn fold_stack(&mut self, stack: Stack) {
        let id = stack.id;
        let stack = Arc::new(stack);
        let entry = self.stacks.entry(id).or_insert_with(|| StackEntry::new(stack.clone()));
        let before = entry.stack.clone();
        self.index.remove_stack(&before, &self.policy.reach(&before));
        let reach = self.policy.reach(&stack);
        // Nothing matches a stack that is being deleted, so only its pairs are looked at.
        let mut agents = BTreeSet::new();
        if stack.is_active() {
            self.index.add_stack(&stack, &reach);
            agents = self.index.agents_for(&stack, &reach);
        }
        agents.extend(&entry.agents);
        // Entries that order no revision contain the policies of the stack.
        let is_shown = before.policies != stack.policies;
        self.change_stack(id, |entry| entry.stack = stack);
        for agent in agents {
            self.evaluate(id, agent);
        }
        for agent in self.stacks.get(&id).iter().flat_map(|entry| &entry.agents) {
            if let Some(agent) = self.agents.get_mut(agent) {
                if is_shown { agent.touch() } else { agent.discard() }
            }
        }
    }

    fn fold_object(&mut self, object: DeploymentObject) {
        self.change_stack(object.stack_id, |stack| stack.publish(object));
    }

    fn fold_pin(&mut self, pin: Pin) {
        let (stack, agent) = (pin.stack_id, pin.agent_id);
        let before = self.order_of(stack, agent);
        if let Some(entry) = self.stacks.get_mut(&stack) {
            entry.fold_pin(pin);
        }
        if before != self.order_of(stack, agent)
            && let Some(agent) = self.agents.get_mut(&agent)
        {
            agent.touch();
        }
    }

    fn order_of(&self, stack: StackId, agent: AgentId) -> Option<Order> {
        let (entry, agent) = (self.stacks.get(&stack)?, self.agents.get(&agent)?);
        let pair = agent.pairs.get(&stack).copied().unwrap_or_default();
        Some(desire(entry, &agent.agent, pair, &self.tenants, &self.environments).into())
    }

    /// Changes a stack, and touches the agents whose orders change.
    fn change_stack(&mut self, id: StackId, change: impl FnOnce(&mut StackEntry)) {
        let before = self.orders_of(id);
        if let Some(entry) = self.stacks.get_mut(&id) {
            change(entry);
        }
        for (before, after) in before.into_iter().zip(self.orders_of(id)) {
            if before != after
                && let Some(agent) = self.agents.get_mut(&after.0)
            {
                agent.touch();
            }
        }
    }

    /// The order of each agent that has a pair with the stack.
    fn orders_of(&self, stack: StackId) -> Vec<(AgentId, Order)> {
        let agents = self.stacks.get(&stack).into_iter().flat_map(|entry| &entry.agents);
        agents.filter_map(|agent| Some((*agent, self.order_of(stack, *agent)?))).collect()
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

    /// Updates a pair on both sides, and touches the agent if its order changes.
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
        let (tenants, environments) = (&self.tenants, &self.environments);
        let order = |pair| Order::from(desire(stack_entry, &agent_entry.agent, pair, tenants, environments));
        let is_ordered = order(pair) != order(before);
        if pair.is_nothing() {
            agent_entry.pairs.remove(&stack);
            stack_entry.agents.remove(&agent);
        } else {
            agent_entry.pairs.insert(stack, pair);
            stack_entry.agents.insert(agent);
        }
        if is_ordered { agent_entry.touch() } else { agent_entry.discard() }
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

    /// Evaluates the living stacks of a generator again, on the agents that may match.
    fn evaluate_stacks_of(&mut self, generator: GeneratorId) {
        let mut pairs = Vec::new();
        for entry in self.stacks.values().filter(|it| it.stack.generator_id == generator && it.stack.is_active()) {
            let mut agents = self.index.agents_for(&entry.stack, &self.policy.reach(&entry.stack));
            agents.extend(&entry.agents);
            pairs.extend(agents.into_iter().map(|agent| (entry.stack.id, agent)));
        }
        pairs.into_iter().for_each(|(stack, agent)| self.evaluate(stack, agent));
    }

    /// Touches the agents with such a registration.
    fn touch_agents_with(&mut self, is_such: impl Fn(GeneratorId, GrantId) -> bool) {
        let is_affected = |entry: &&mut AgentEntry| {
            entry.agent.registrations.iter().any(|(generator, grant)| is_such(*generator, *grant))
        };
        self.agents.values_mut().filter(is_affected).for_each(AgentEntry::touch);
    }

    pub(crate) fn generator_beside(&self, name: &Name) -> Option<Name> {
        self.tenants.beside(name).cloned()
    }

    pub(crate) fn generator_name(&self, id: GeneratorId) -> Option<Name> {
        self.tenants.name(id).cloned()
    }

    /// Touches the agents in an environment.
    fn touch_agents_in(&mut self, environment: &Name) {
        let is_in = |entry: &&mut AgentEntry| entry.agent.environment.as_ref() == Some(environment);
        self.agents.values_mut().filter(is_in).for_each(AgentEntry::touch);
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
            self.index.remove_stack(&entry.stack, &self.policy.reach(&entry.stack));
            for agent in entry.agents {
                if let Some(agent) = self.agents.get_mut(&agent) {
                    agent.pairs.remove(&id);
                    agent.touch();
                }
            }
        }
    }
}
