//! What a controller can order.

use std::sync::Arc;

use brokkr_core::model::{AgentId, KeyId, PinId, StackId, StackSpec, Timestamp, Version};
use brokkr_core::store::Retention;

use crate::operations::losses::LostPair;
use crate::operations::preparation::Content;
use crate::operations::silences::SilenceTurn;

/// One command of a [`Plan`](crate::controller::Plan): a public operation that the controller's principal executes, with its
/// rights. It is data, so that tests compare plans.
#[derive(Debug, Clone, PartialEq)]
pub struct Command(pub(super) Kind);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    DeleteStack(StackId, Option<Version>),
    ApplyStack(Arc<StackSpec>, Option<Arc<Content>>),
    Publish(StackId, Arc<Content>),
    SetTarget(StackId, AgentId),
    RemoveTarget(StackId, AgentId),
    Own(Own),
}

/// The commands of the broker's own controllers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Own {
    /// Turns a deleting stack into a tombstone.
    CompleteRemoval(StackId),
    /// Drops expired records.
    Purge(Retention),
    /// Announces the end of a stack.
    AnnounceExpiry(StackId, Version),
    /// Deletes a stack whose time is over.
    ExpireStack(StackId, Version),
    /// Revokes a key whose time is over.
    ExpireKey(KeyId, Version),
    /// Removes a pin whose time is over.
    ExpirePin(PinId, Version),
    /// Records which agents became silent, and which are back.
    RecordSilences(Vec<SilenceTurn>),
    /// Notes that brokers are available.
    NoteAvailability {
        /// The time of the note.
        at: Timestamp,
        /// Since when they are available without a long gap.
        since: Timestamp,
    },
    /// Ends the assignments of pairs that no longer match.
    EndAssignments(Vec<LostPair>),
}

impl Command {
    /// Deletes a stack, as [`Broker::stack_delete`](crate::Broker::stack_delete) does.
    pub fn delete_stack(id: StackId) -> Self {
        Self(Kind::DeleteStack(id, None))
    }

    /// Deletes the stack only if it still has this version, so that a concurrent change, such as a longer life, wins. Other
    /// commands ignore it.
    #[must_use]
    pub fn if_version(self, version: Version) -> Self {
        match self.0 {
            Kind::DeleteStack(id, _) => Self(Kind::DeleteStack(id, Some(version))),
            other => Self(other),
        }
    }

    /// Creates or updates the stack with this name, and publishes the content if there is one, as
    /// [`Broker::stack_apply`](crate::Broker::stack_apply) does. Commits nothing if everything is as requested.
    pub fn apply_stack(spec: StackSpec, content: Option<Content>) -> Self {
        Self(Kind::ApplyStack(Arc::new(spec), content.map(Arc::new)))
    }

    /// Publishes content, as [`Broker::publish`](crate::Broker::publish) does.
    pub fn publish(stack: StackId, content: Content) -> Self {
        Self(Kind::Publish(stack, Arc::new(content)))
    }

    /// Targets a stack directly at an agent, as [`Broker::target_set`](crate::Broker::target_set) does.
    pub fn set_target(stack: StackId, agent: AgentId) -> Self {
        Self(Kind::SetTarget(stack, agent))
    }

    /// Removes a direct target, as [`Broker::target_remove`](crate::Broker::target_remove) does.
    pub fn remove_target(stack: StackId, agent: AgentId) -> Self {
        Self(Kind::RemoveTarget(stack, agent))
    }

    /// The command of the broker's own controllers; `None` for public operations.
    #[cfg(test)]
    pub(crate) fn as_own(&self) -> Option<&Own> {
        match &self.0 {
            Kind::Own(own) => Some(own),
            _ => None,
        }
    }

    /// A command of the broker's own controllers.
    pub(crate) fn own(own: Own) -> Self {
        Self(Kind::Own(own))
    }
}
