//! Scopes: the rows that a caller may read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{AgentId, GeneratorId, KeyId, StackId};

/// The rows that a caller may read. The store applies the scope in the query; no code fetches rows first and filters
/// them later.
///
/// | rows | `Generator(g)` sees | `Limited { generator, agents, keys }` sees | `Agent { id, stacks }` sees |
/// |---|---|---|---|
/// | generators | itself | as without the limit | none |
/// | keys | its own | those of `keys` | its own |
/// | agents, sessions | those registered with it | of these, those of `agents` | itself |
/// | stacks, deployment objects | its own | as without the limit | those of `stacks` |
/// | targets, assignments, statuses | of its own stacks | of these, those on `agents` | of itself and `stacks` |
/// | events | of its own stacks | of these, those of `agents` | its own |
/// | documents without an owner | none | as without the limit | none |
/// | audit | none | none | none |
/// | feed | of its own stacks, and itself | none | none |
///
/// Without the limit, `Limited` is `All`, or `Generator` if there is a generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All rows, for admins and the broker itself.
    All,
    /// The rows of one generator.
    Generator(GeneratorId),
    /// The rows for a key that is limited to environments.
    Limited {
        /// The generator that holds the key; `None` for the key of an admin.
        generator: Option<GeneratorId>,
        /// The agents of the environments, according to the fleet view.
        agents: Arc<BTreeSet<AgentId>>,
        /// The keys that are limited to some of the environments, and those of the agents, according to the fleet view.
        keys: Arc<BTreeSet<KeyId>>,
    },
    /// The rows that one agent may see.
    Agent {
        /// The agent.
        id: AgentId,
        /// The stacks in the agent's target state, according to the fleet view.
        stacks: Arc<BTreeSet<StackId>>,
    },
}

impl Scope {
    /// Whether the scope includes rows of a stack that `owner` owns.
    pub fn sees_stack(&self, stack: StackId, owner: GeneratorId) -> bool {
        match self {
            Self::All => true,
            Self::Generator(id) => *id == owner,
            Self::Limited { generator, .. } => generator.is_none_or(|id| id == owner),
            Self::Agent { stacks, .. } => stacks.contains(&stack),
        }
    }

    /// Whether the scope includes an agent with these registrations.
    pub fn sees_agent<V>(&self, agent: AgentId, registrations: &BTreeMap<GeneratorId, V>) -> bool {
        match self {
            Self::All => true,
            Self::Generator(id) => registrations.contains_key(id),
            Self::Limited { generator, agents, .. } => {
                agents.contains(&agent) && generator.is_none_or(|id| registrations.contains_key(&id))
            }
            Self::Agent { id, .. } => *id == agent,
        }
    }

    /// The generator whose rows the scope is about; `None` if it is not that of a generator.
    pub fn generator(&self) -> Option<GeneratorId> {
        match self {
            Self::Generator(id) => Some(*id),
            Self::Limited { generator, .. } => *generator,
            Self::All | Self::Agent { .. } => None,
        }
    }

    /// Whether the scope includes rows about a stack on an agent.
    pub fn sees_pair(&self, stack: StackId, owner: GeneratorId, agent: AgentId) -> bool {
        self.sees_stack(stack, owner)
            && match self {
                Self::All | Self::Generator(_) => true,
                Self::Limited { agents, .. } => agents.contains(&agent),
                Self::Agent { id, .. } => *id == agent,
            }
    }
}
