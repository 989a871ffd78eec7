//! Why a stack or an object is not as it should be, in one word.

use std::fmt;

use crate::cluster::ClusterError;

/// Why a stack or an object is not as it should be.
///
/// Its word, in CamelCase, is the `reason` of conditions and events: [`as_str`](Self::as_str) and `Display` give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The object, its Namespace or its kind does not exist.
    NotFound,
    /// Other field managers own fields of the object with other values.
    Conflict,
    /// The object is not the one that was read: it has changed, or another one has taken its place.
    Changed,
    /// The API server rejects the object, or its manifest cannot be used.
    Refused,
    /// The agent lacks a right.
    Forbidden,
    /// The Namespace or the definition that the object belongs to is being deleted.
    NamespaceTerminating,
    /// The object is larger than the API server accepts.
    TooLarge,
    /// The API server no longer keeps the resource version.
    Expired,
    /// The API server, or the server behind one of its APIs, does not answer.
    ApiUnavailable,
    /// A fence holds this process back: the request was not sent.
    Fenced,
    /// A webhook that must agree fails or does not answer.
    WebhookFailed,
    /// The API server answers with an error that has no other word.
    ApiError,
    /// A dry run of an update was refused, so that none of the updates was written.
    ValidationFailed,
    /// The update changes an immutable field, and the policy does not allow to replace the object.
    Immutable,
    /// The update changes an immutable field, and replacing the object would lose data or surprise others.
    NotReplaceable,
    /// The object was deleted to be replaced, and is not gone yet.
    Replacing,
    /// The manifest has the name of one of the agent's own records.
    Reserved,
    /// The Job is gone, and the event that says how it ended has not arrived yet.
    JobGone,
    /// The object of this name is being deleted.
    Terminating,
    /// Another agent manages the object.
    HeldByAnotherAgent,
    /// Another stack of this agent has the object.
    HeldByStack,
    /// Another object of the same name has taken the place of the stack's own.
    Replaced,
    /// The object already exists, and this agent did not create it.
    NotOwned,
    /// The cluster does not serve the kind in the version that the manifest names.
    KindNotServed,
    /// The agent's own limits exclude the object.
    NotAllowed,
    /// The object depends on one that is not in the stack.
    DependencyUnknown,
    /// The object's dependencies lead back to it.
    DependencyCycle,
    /// The object waits until one that it depends on is healthy.
    DependencyPending,
    /// The stack waits for another stack.
    DependsOnStack,
    /// Everything is applied, and not everything is ready yet.
    NotReady,
    /// Everything is applied, and not everything became ready in time.
    Stalled,
    /// The record of what is held could not be written.
    InventoryNotKept,
    /// Objects fail, or wait, for different reasons; the message names them.
    SeveralReasons,
    /// The content of another stack, which may want the object, has not been fetched yet.
    ContentPending,
    /// History may have forked: nothing is removed until an admin confirms the epoch.
    EpochUnconfirmed,
    /// The record of what is held was lost, so the object is not deleted.
    InventoryLost,
    /// Another stack is about to take the object over.
    HandoverPending,
    /// The object is being deleted, and is not gone yet.
    Deleting,
    /// Finalizers hold up the deletion.
    Finalizers,
    /// What is in the Namespace or definition is about to go; then it is deleted.
    NotEmptyYet,
    /// The broker does not serve the content of the stack.
    ContentUnavailable,
    /// More unconfirmed removals than the agent carries out in one pass.
    RemovalBudget,
    /// A reason of an [`Applier`](crate::Applier) other than the reconciler: one word in CamelCase.
    Other(&'static str),
}

impl Reason {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::Conflict => "Conflict",
            Self::Changed => "Changed",
            Self::Refused => "Refused",
            Self::Forbidden => "Forbidden",
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::TooLarge => "TooLarge",
            Self::Expired => "Expired",
            Self::ApiUnavailable => "ApiUnavailable",
            Self::Fenced => "Fenced",
            Self::WebhookFailed => "WebhookFailed",
            Self::ApiError => "ApiError",
            Self::ValidationFailed => "ValidationFailed",
            Self::Immutable => "Immutable",
            Self::NotReplaceable => "NotReplaceable",
            Self::Replacing => "Replacing",
            Self::Reserved => "Reserved",
            Self::JobGone => "JobGone",
            Self::Terminating => "Terminating",
            Self::HeldByAnotherAgent => "HeldByAnotherAgent",
            Self::HeldByStack => "HeldByStack",
            Self::Replaced => "Replaced",
            Self::NotOwned => "NotOwned",
            Self::KindNotServed => "KindNotServed",
            Self::NotAllowed => "NotAllowed",
            Self::DependencyUnknown => "DependencyUnknown",
            Self::DependencyCycle => "DependencyCycle",
            Self::DependencyPending => "DependencyPending",
            Self::DependsOnStack => "DependsOnStack",
            Self::NotReady => "NotReady",
            Self::Stalled => "Stalled",
            Self::InventoryNotKept => "InventoryNotKept",
            Self::SeveralReasons => "SeveralReasons",
            Self::ContentPending => "ContentPending",
            Self::EpochUnconfirmed => "EpochUnconfirmed",
            Self::InventoryLost => "InventoryLost",
            Self::HandoverPending => "HandoverPending",
            Self::Deleting => "Deleting",
            Self::Finalizers => "Finalizers",
            Self::NotEmptyYet => "NotEmptyYet",
            Self::ContentUnavailable => "ContentUnavailable",
            Self::RemovalBudget => "RemovalBudget",
            Self::Other(word) => word,
        }
    }

    /// Whether the object in the cluster is somebody else's, so that how it fares says nothing about the stack.
    pub(crate) fn is_about_foreign_object(self) -> bool {
        matches!(self, Self::NotOwned | Self::Replaced | Self::HeldByAnotherAgent | Self::HeldByStack)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&ClusterError> for Reason {
    fn from(error: &ClusterError) -> Self {
        match error {
            ClusterError::NotFound(_) => Self::NotFound,
            ClusterError::Conflict(_) => Self::Conflict,
            ClusterError::Precondition(_) => Self::Changed,
            ClusterError::Invalid(_) | ClusterError::Denied(_) => Self::Refused,
            ClusterError::Forbidden(_) => Self::Forbidden,
            ClusterError::Terminating(_) => Self::NamespaceTerminating,
            ClusterError::TooLarge(_) => Self::TooLarge,
            ClusterError::Expired(_) => Self::Expired,
            ClusterError::Unavailable { .. } => Self::ApiUnavailable,
            ClusterError::Fenced => Self::Fenced,
            ClusterError::Webhook(_) => Self::WebhookFailed,
            ClusterError::Other { .. } => Self::ApiError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_error_has_a_reason() {
        let text = String::new;
        for (error, expected) in [
            (ClusterError::NotFound(text()), "NotFound"),
            (ClusterError::Conflict(Vec::new()), "Conflict"),
            (ClusterError::Precondition(text()), "Changed"),
            (ClusterError::Invalid(text()), "Refused"),
            (ClusterError::Denied(text()), "Refused"),
            (ClusterError::Forbidden(text()), "Forbidden"),
            (ClusterError::Terminating(text()), "NamespaceTerminating"),
            (ClusterError::TooLarge(text()), "TooLarge"),
            (ClusterError::Expired(text()), "Expired"),
            (ClusterError::unavailable("away"), "ApiUnavailable"),
            (ClusterError::Fenced, "Fenced"),
            (ClusterError::Webhook(text()), "WebhookFailed"),
            (ClusterError::Other { status: 418, message: text() }, "ApiError"),
        ] {
            assert_eq!(Reason::from(&error).to_string(), expected, "{error:?}");
        }
        assert_eq!(Reason::Other("Pushed").as_str(), "Pushed");
    }

    #[test]
    fn foreign_objects_say_nothing_about_the_stack() {
        for (reason, expected) in [
            (Reason::NotOwned, true),
            (Reason::Replaced, true),
            (Reason::HeldByAnotherAgent, true),
            (Reason::HeldByStack, true),
            (Reason::Conflict, false),
            (Reason::Refused, false),
        ] {
            assert_eq!(reason.is_about_foreign_object(), expected, "{reason}");
        }
    }
}
