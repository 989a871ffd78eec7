//! Errors of a Kubernetes API, classified by meaning.

use std::time::Duration;

/// A field that another field manager owns with a different value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldConflict {
    /// Path of the field in the server's notation, such as `.spec.replicas`.
    pub field: String,
    /// The field manager that owns it.
    pub manager: String,
}

/// An error of a [`Cluster`](crate::cluster::Cluster) operation.
///
/// The messages come from the API server and may quote the request, including Secret values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The object, its namespace or its kind does not exist.
    #[error("not found: {0}")]
    NotFound(String),
    /// Other field managers own fields with different values.
    #[error("conflict with other field managers")]
    Conflict(Vec<FieldConflict>),
    /// The object has a different UID or resource version than the request expects.
    #[error("precondition failed: {0}")]
    Precondition(String),
    /// Admission denied the request: a quota, a webhook, or a policy. The same request may succeed later.
    #[error("the API server rejected the request: {0}")]
    Denied(String),
    /// The API server rejected the object as invalid, for example because of its schema or an immutable field.
    #[error("the API server rejected the object: {0}")]
    Invalid(String),
    /// The caller lacks the right for the request.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// The namespace or the custom resource definition of the object is being deleted.
    #[error("{0}")]
    Terminating(String),
    /// The object is larger than the API server accepts.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The API server no longer has the events after the requested resource version. List again.
    #[error("expired: {0}")]
    Expired(String),
    /// The server cannot be reached, is overloaded, or timed out. The error concerns the whole server, not one object.
    #[error("unavailable: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// The delay that the server requested before the next attempt.
        retry_after: Option<Duration>,
    },
    /// A [`Fence`](crate::cluster::Fence) is closed, so the request was not sent.
    #[error("request not sent: a fence stops this process from writing")]
    Fenced,
    /// An admission or conversion webhook failed or did not respond.
    #[error("{0}")]
    Webhook(String),
    /// Any other error of the server, or a failure of this one request.
    #[error("{status} {message}")]
    Other {
        /// HTTP status code.
        status: u16,
        /// The server's message.
        message: String,
    },
}

impl ClusterError {
    /// Returns [`Unavailable`](Self::Unavailable) without a requested delay.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), retry_after: None }
    }

    /// The delay that the server requested with `Retry-After` (RFC 9110, section 10.2.3); `None` if it requested none.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
