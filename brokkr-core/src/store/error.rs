//! What can go wrong in a store, by meaning.

use std::error::Error;
use std::fmt;

use crate::model::{EntityKey, EntityKind, Revision};

/// A store's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No such row, or none in this scope.
    #[error("not found")]
    NotFound,
    /// A version or a precondition did not hold: somebody else was faster. Read again and decide again.
    #[error("conflict on {} {}", KindOf(.0), .0)]
    Conflict(EntityKey),
    /// Something that must be unique exists already.
    #[error("not unique: {0}")]
    NotUnique(UniqueKey),
    /// What follows this position is no longer kept.
    #[error("the position is older than what is kept")]
    Expired,
    /// The store cannot be reached or cannot write now. After a commit its outcome is unknown.
    #[error("store unavailable: {0}")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The commit breaks the contract: a defect of the caller.
    #[error("malformed commit: {0}")]
    Malformed(&'static str),
    /// Anything else; the source says more to the log, and to nobody else.
    #[error("store failed: {0}")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

/// What is unique among living entities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UniqueKey {
    /// A generator's name.
    GeneratorName,
    /// An agent's name.
    AgentName,
    /// A stack's name within its generator.
    StackName,
    /// The name of an entity of a kind that is stored as a document, among those of its generator.
    Name(EntityKind),
    /// A key's short id.
    KeyShortId,
    /// A revision within its stack.
    StackRevision(Revision),
    /// An idempotency key of one caller, as long as it is remembered.
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
