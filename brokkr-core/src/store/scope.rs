//! Whose rows a read may see.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{AgentId, GeneratorId, StackId};

/// Whose rows a read may see. The store makes it part of the query; nothing is fetched first and checked afterwards.
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
    /// Everything.
    All,
    /// What belongs to one generator.
    Generator(GeneratorId),
    /// What one agent may see.
    Agent {
        /// The agent.
        id: AgentId,
        /// The stacks that the fleet view lists for it.
        stacks: Arc<BTreeSet<StackId>>,
    },
}

impl Scope {
    /// Whether rows of a stack that belongs to `owner` are in scope.
    pub fn sees_stack(&self, stack: StackId, owner: GeneratorId) -> bool {
        match self {
            Self::All => true,
            Self::Generator(id) => *id == owner,
            Self::Agent { stacks, .. } => stacks.contains(&stack),
        }
    }

    /// Whether rows about a stack on an agent are in scope.
    pub fn sees_pair(&self, stack: StackId, owner: GeneratorId, agent: AgentId) -> bool {
        self.sees_stack(stack, owner) && !matches!(self, Self::Agent { id, .. } if *id != agent)
    }
}
