//! Store errors.

use std::error::Error;
use std::fmt;

use crate::model::{EntityKey, EntityKind, QuotaExceeded, Revision};

/// An error of a store, classified by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The entity does not exist, or is outside of the scope.
    #[error("not found")]
    NotFound,
    /// The version of a changed entity, or a precondition, does not match the stored state: another commit came first.
    /// Read the entity again and repeat the decision.
    #[error("conflict on {} {}", KindOf(.0), .0)]
    Conflict(EntityKey),
    /// Another entity has the value of a unique field.
    #[error("not unique: {0}")]
    NotUnique(UniqueKey),
    /// The commit would exceed the quota of a precondition.
    #[error("{0}")]
    QuotaExceeded(QuotaExceeded),
    /// The lease of a precondition was taken over, or has ended. Do not repeat the decision: another holder makes it.
    #[error("the lease {0} is lost")]
    Fenced(String),
    /// The store has dropped changes that follow the position or token. Start again from a snapshot.
    #[error("the changes after this position are no longer stored")]
    Expired,
    /// The store cannot be reached or cannot serve now; retry later. After `commit`, the commit may or may not have
    /// happened.
    #[error("store unavailable: {0}")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The call breaks the contract of the trait: a bug in the caller. Retrying does not help.
    #[error("malformed commit: {0}")]
    Malformed(&'static str),
    /// Any other failure. The source has details for the log; do not show them to callers.
    #[error("store failed: {0}")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

/// A value that must be unique among living entities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UniqueKey {
    /// A generator's name.
    GeneratorName,
    /// An agent's name.
    AgentName,
    /// A stack's name within its generator.
    StackName,
    /// The name of an entity whose kind is stored as a [document](crate::model::Storage::Document), within its
    /// generator.
    Name(EntityKind),
    /// The short id of an API key, including revoked keys.
    KeyShortId,
    /// A revision within its stack.
    StackRevision(Revision),
    /// The idempotency key of a caller, while it is remembered.
    IdempotencyKey,
}

impl fmt::Display for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GeneratorName => f.write_str("generator name"),
            Self::AgentName => f.write_str("agent name"),
            Self::StackName => f.write_str("stack name"),
            Self::Name(kind) => write!(f, "{kind:?} name"),
            Self::KeyShortId => f.write_str("short id of a key"),
            Self::IdempotencyKey => f.write_str("idempotency key"),
            Self::StackRevision(revision) => write!(f, "revision {revision}"),
        }
    }
}

struct KindOf<'a>(&'a EntityKey);

impl fmt::Display for KindOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.kind(), f)
    }
}
