//! What the decision depends on.

use crate::model::AssignmentState;

/// Everything that decides what one agent should hold of one stack. `R` is whatever stands for a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<R> {
    /// Facts about the stack.
    pub stack: StackFacts<R>,
    /// Facts about the agent.
    pub agent: AgentFacts,
    /// Facts about the agent's environment; for an agent without one, about all agents without one.
    pub environment: EnvironmentFacts<R>,
    /// Facts about the stack and the agent together.
    pub pair: PairFacts<R>,
}

/// Facts about a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackFacts<R> {
    /// Whether the stack is neither in deletion nor deleted.
    pub is_active: bool,
    /// Whether every agent of the stack waits for a release of each revision.
    pub is_gated: bool,
    /// Whether the stack is suspended on all agents.
    pub is_suspended: bool,
    /// The newest revision; `None` before the first publication.
    pub newest: Option<R>,
}

/// Facts about an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentFacts {
    /// Whether the agent gets no new stacks.
    pub is_cordoned: bool,
    /// Whether all stacks of the agent are suspended.
    pub is_suspended: bool,
}

/// Facts about a stack in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvironmentFacts<R> {
    /// Whether every stack in the environment waits for a release of each revision.
    pub is_protected: bool,
    /// Whether the stack is suspended in the environment.
    pub is_suspended: bool,
    /// The stack's released revision in the environment; `None` before the first release.
    pub stable: Option<R>,
}

/// Facts about a stack and an agent together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairFacts<R> {
    /// Whether the agent should serve the stack.
    pub matched: Match,
    /// The state of the assignment; `None` if the agent holds nothing of the stack.
    pub assignment: Option<AssignmentState>,
    /// The revision that a pin names.
    pub pin: Option<R>,
}

/// Whether an agent should serve a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Match {
    /// A targeting rule or a direct target selects the agent.
    Selected,
    /// Nothing selects the agent.
    NotSelected,
    /// The agent may not serve the stack, whatever selects it: it is retired, or not registered with the generator,
    /// or the generator is limited to environments that the agent is not in.
    NotPermitted,
}
