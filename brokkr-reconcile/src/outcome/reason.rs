//! The reason why a stack or an object is not in its desired state.

use std::fmt;

use crate::cluster::ClusterError;

/// The reason why a stack or an object is not in its desired state.
///
/// [`as_str`](Self::as_str) and `Display` return the CamelCase word, which is the `reason` of conditions and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The object, its Namespace or its kind does not exist.
    NotFound,
    /// Other field managers own fields of the object with different values.
    Conflict,
    /// The object changed, or was replaced by another one, between the read and the write.
    Changed,
    /// The API server rejected the object, or its manifest is unusable.
    Refused,
    /// The agent lacks the right for the request.
    Forbidden,
    /// The Namespace or the custom resource definition of the object is being deleted.
    NamespaceTerminating,
    /// The object is larger than the API server accepts.
    TooLarge,
    /// The API server no longer keeps the resource version.
    Expired,
    /// The API server, or an aggregated API server, does not respond.
    ApiUnavailable,
    /// A fence is closed, so the request was not sent.
    Fenced,
    /// A webhook that the API server must call fails or does not respond.
    WebhookFailed,
    /// The API server returned an error of another class.
    ApiError,
    /// The dry run of an update was rejected, so none of the stack's updates was written.
    ValidationFailed,
    /// The update changes an immutable field, and the policy does not allow the agent to replace the object.
    Immutable,
    /// The update changes an immutable field, and replacing the object would lose data or affect objects of others.
    NotReplaceable,
    /// The agent deleted the object to replace it, and the deletion is not complete.
    Replacing,
    /// The manifest has the name of one of the agent's own records.
    Reserved,
    /// The Job was deleted, and the watch event with its result has not arrived yet.
    JobGone,
    /// An object of this name is being deleted.
    Terminating,
    /// Another agent manages the object.
    HeldByAnotherAgent,
    /// Another stack of this agent holds the object.
    HeldByStack,
    /// Another object with the same name has replaced the stack's object.
    Replaced,
    /// The object already exists, and this agent did not create it.
    NotOwned,
    /// The cluster does not serve the kind in the version that the manifest names.
    KindNotServed,
    /// The agent's local limits exclude the object.
    NotAllowed,
    /// The object depends on an object that is not in the stack, or its references cannot be parsed.
    DependencyUnknown,
    /// The object is part of a dependency cycle.
    DependencyCycle,
    /// A dependency of the object is not healthy yet.
    DependencyPending,
    /// The stack waits for another stack that it depends on.
    DependsOnStack,
    /// All objects are applied, and some are not ready yet.
    NotReady,
    /// All objects are applied, and some did not become ready within the timeout.
    Stalled,
    /// The inventory could not be written.
    InventoryNotKept,
    /// Several objects fail or wait for different reasons, which the message lists.
    SeveralReasons,
    /// The manifests of another stack, which may contain the object, are not fetched yet.
    ContentPending,
    /// The broker's history may have forked. The agent removes nothing until an admin confirms the epoch.
    EpochUnconfirmed,
    /// The inventory was lost, so the agent does not delete the object.
    InventoryLost,
    /// Another stack is about to take over the object.
    HandoverPending,
    /// The object is being deleted.
    Deleting,
    /// Finalizers block the deletion.
    Finalizers,
    /// The Namespace or definition still contains objects that are being deleted. The agent deletes it once it is empty.
    NotEmptyYet,
    /// The broker does not serve the stack's manifests.
    ContentUnavailable,
    /// Unconfirmed removals exceed the number that the agent performs in one pass.
    RemovalBudget,
    /// The reason of a custom [`Applier`](crate::Applier): one word in CamelCase.
    Other(&'static str),
}

impl Reason {
    /// Returns the CamelCase word.
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

    /// Whether the object in the cluster does not belong to the stack, so that its health does not count for the stack.
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
    fn api_error_maps_to_reason() {
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
    fn foreign_object_reasons_are_recognized() {
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
