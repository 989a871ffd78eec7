//! What a Kubernetes API refuses or fails to do, by meaning.

use std::time::Duration;

/// A field that another manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldConflict {
    /// The field's path as the server writes it, such as `.spec.replicas`.
    pub field: String,
    /// Who owns it.
    pub manager: String,
}

/// A cluster's error. The texts are the server's; they may quote what the caller sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The object, its namespace or its kind does not exist.
    #[error("not found: {0}")]
    NotFound(String),
    /// Other managers own fields with other values.
    #[error("conflict with other field managers")]
    Conflict(Vec<FieldConflict>),
    /// The object is not the one that was meant, or has changed since.
    #[error("precondition failed: {0}")]
    Precondition(String),
    /// Admission denies the request: a quota, a webhook, a policy. Another object, or the same at another time, may be let in.
    #[error("the API server rejected it: {0}")]
    Denied(String),
    /// The server refuses the object: schema, immutable field.
    #[error("the API server rejected it: {0}")]
    Invalid(String),
    /// The caller may not do this.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// The namespace or the definition that the object belongs to is being deleted.
    #[error("{0}")]
    Terminating(String),
    /// The object is larger than the server takes.
    #[error("too large: {0}")]
    TooLarge(String),
    /// What follows the resource version is no longer kept.
    #[error("expired: {0}")]
    Expired(String),
    /// The server cannot be reached, is overloaded, or took too long: it is away for everything, not for this object.
    #[error("unavailable: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// A [`Fence`](crate::cluster::Fence) holds this process back: the request was not sent.
    #[error("not sent: this process may not write any more")]
    Fenced,
    /// A webhook that has a say in the request failed or did not answer.
    #[error("{0}")]
    Webhook(String),
    /// Anything else that the server said, or a failure of this one request.
    #[error("{status} {message}")]
    Other {
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
}

impl ClusterError {
    /// The server cannot be reached.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), retry_after: None }
    }

    /// How long the server asked to wait before the next try, where it did (RFC 9110, section 10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
