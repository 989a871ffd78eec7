//! Scopes: the rows that a caller may read.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{AgentId, GeneratorId, StackId};

/// The rows that a caller may read. The store applies the scope in the query; no code fetches rows first and filters
/// them later.
///
/// | rows | `Generator(g)` sees | `Agent { id, stacks }` sees |
/// |---|---|---|
/// | generators | itself | none |
/// | keys | its own | its own |
/// | agents, sessions | those registered with it | itself |
/// | stacks, deployment objects | its own | those of `stacks` |
/// | targets, assignments, statuses | of its own stacks | of itself and `stacks` |
/// | events | of its own stacks | its own |
/// | audit | none | none |
/// | feed | of its own stacks, and itself | none |
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All rows, for admins and the broker itself.
    All,
    /// The rows of one generator.
    Generator(GeneratorId),
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
            Self::Agent { stacks, .. } => stacks.contains(&stack),
        }
    }

    /// Whether the scope includes rows about a stack on an agent.
    pub fn sees_pair(&self, stack: StackId, owner: GeneratorId, agent: AgentId) -> bool {
        self.sees_stack(stack, owner) && !matches!(self, Self::Agent { id, .. } if *id != agent)
    }
}
