//! The rules that decide what an agent holds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The rule that decided what an agent should hold of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Why {
    /// The stack is being deleted or is deleted.
    StackDeleted,
    /// The agent may not serve the stack's generator, or is retired: it is not registered, or the generator is limited to other
    /// environments.
    NotPermitted,
    /// A direct target was removed, or an admin abandoned the pair.
    Withdrawn,
    /// No targeting rule and no direct target selects the agent; the loss, if it is one, is decided.
    NotSelected,
    /// Nothing selects the agent any more, and the broker has not decided yet whether it loses the stack.
    LossUndecided,
    /// The agent is cordoned and gets no new stacks.
    AgentCordoned,
    /// The stack is suspended.
    StackSuspended,
    /// The stack is suspended in the agent's environment.
    EnvironmentSuspended,
    /// The agent is suspended.
    AgentSuspended,
    /// A pin names the revision.
    Pinned,
    /// The revision is the stable one of the agent's environment.
    Stable,
    /// The pair is gated, and no revision is stable in the agent's environment yet.
    NoStable,
    /// The revision is the newest.
    Newest,
    /// The stack has no revision yet.
    NothingPublished,
}

impl Why {
    /// Every rule.
    pub const ALL: [Self; 14] = [
        Self::StackDeleted,
        Self::NotPermitted,
        Self::Withdrawn,
        Self::NotSelected,
        Self::LossUndecided,
        Self::AgentCordoned,
        Self::StackSuspended,
        Self::EnvironmentSuspended,
        Self::AgentSuspended,
        Self::Pinned,
        Self::Stable,
        Self::NoStable,
        Self::Newest,
        Self::NothingPublished,
    ];

    /// The rule in words for people.
    pub const fn explained(self) -> &'static str {
        match self {
            Self::StackDeleted => "the stack is being deleted",
            Self::NotPermitted => "the agent may not serve the stack's generator, or is retired",
            Self::Withdrawn => "the direct target was removed",
            Self::NotSelected => "no targeting rule and no direct target selects the agent",
            Self::LossUndecided => "nothing selects the agent any more, and the loss is not decided yet",
            Self::AgentCordoned => "the agent is cordoned and gets no new stacks",
            Self::StackSuspended => "the stack is suspended",
            Self::EnvironmentSuspended => "the stack is suspended in the agent's environment",
            Self::AgentSuspended => "the agent is suspended",
            Self::Pinned => "a pin names the revision",
            Self::Stable => "the revision is stable in the agent's environment",
            Self::NoStable => "no revision is stable in the agent's environment yet",
            Self::Newest => "the revision is the newest",
            Self::NothingPublished => "the stack has no revision yet",
        }
    }
}

impl fmt::Display for Why {
    /// Writes the name in the API, such as `agent_suspended`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
