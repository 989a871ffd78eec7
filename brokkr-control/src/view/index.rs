//! Which agents and stacks may match, so that a change of one does not evaluate all of the other.

use std::collections::{BTreeSet, HashMap};

use brokkr_core::model::{Agent, AgentId, GeneratorId, Stack, StackId};
use brokkr_core::targeting::{Attribute, Reach};

/// Agents by what stacks can select them by, and stacks by what they select.
#[derive(Default)]
pub(super) struct Index {
    registered: HashMap<GeneratorId, BTreeSet<AgentId>>,
    agents: HashMap<Attribute, BTreeSet<AgentId>>,
    stacks: HashMap<Attribute, BTreeSet<StackId>>,
    /// Stacks that reach every registered agent.
    everywhere: HashMap<GeneratorId, BTreeSet<StackId>>,
}

fn add<K: std::hash::Hash + Eq, V: Ord>(map: &mut HashMap<K, BTreeSet<V>>, key: K, value: V) {
    map.entry(key).or_default().insert(value);
}

fn remove<K: std::hash::Hash + Eq, V: Ord>(map: &mut HashMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = map.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            map.remove(key);
        }
    }
}

impl Index {
    pub(super) fn add_agent(&mut self, agent: &Agent) {
        agent.registrations.keys().for_each(|generator| add(&mut self.registered, *generator, agent.id));
        Attribute::of_agent(agent).for_each(|attribute| add(&mut self.agents, attribute, agent.id));
    }

    pub(super) fn remove_agent(&mut self, agent: &Agent) {
        agent.registrations.keys().for_each(|generator| remove(&mut self.registered, generator, &agent.id));
        Attribute::of_agent(agent).for_each(|attribute| remove(&mut self.agents, &attribute, &agent.id));
    }

    pub(super) fn add_stack(&mut self, stack: &Stack, reach: &Reach) {
        match reach {
            Reach::Every => add(&mut self.everywhere, stack.generator_id, stack.id),
            Reach::Having(one_of) => one_of.iter().for_each(|attribute| add(&mut self.stacks, *attribute, stack.id)),
        }
    }

    pub(super) fn remove_stack(&mut self, stack: &Stack, reach: &Reach) {
        match reach {
            Reach::Every => remove(&mut self.everywhere, &stack.generator_id, &stack.id),
            Reach::Having(one_of) => one_of.iter().for_each(|it| remove(&mut self.stacks, it, &stack.id)),
        }
    }

    /// The agents that a stack with this reach may match, without direct targets.
    pub(super) fn agents_for(&self, stack: &Stack, reach: &Reach) -> BTreeSet<AgentId> {
        match reach {
            Reach::Every => self.registered.get(&stack.generator_id).cloned().unwrap_or_default(),
            Reach::Having(one_of) => one_of.iter().filter_map(|it| self.agents.get(it)).flatten().copied().collect(),
        }
    }

    /// The stacks that may match an agent, without direct targets.
    pub(super) fn stacks_for(&self, agent: &Agent) -> BTreeSet<StackId> {
        let everywhere = agent.registrations.keys().filter_map(|generator| self.everywhere.get(generator));
        let having = Attribute::of_agent(agent).filter_map(|attribute| self.stacks.get(&attribute));
        everywhere.chain(having).flatten().copied().collect()
    }
}
