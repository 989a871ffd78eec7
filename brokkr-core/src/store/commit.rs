//! One decision, ready to be recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{
    ActorRef, AgentId, AuditRecord, Change, Digest, EntityKey, GeneratorId, KeyId, RequestId, Timestamp, Version,
    limits,
};
use crate::store::{FeedPosition, StoreError};

/// One decision: what changes, under which conditions, and who is answerable for it.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Who decided.
    pub actor: ActorRef,
    /// In the course of which request.
    pub request_id: RequestId,
    /// When.
    pub at: Timestamp,
    /// What must be so at the moment of the commit, beyond the versions of what is changed.
    pub preconditions: Vec<Precondition>,
    /// The facts, in the order in which they appear in the feed. At most one per entity.
    pub changes: Vec<Change>,
    /// How to answer when the request is repeated. Its key is taken with the commit; one that is taken is
    /// [`NotUnique`](StoreError::NotUnique).
    pub idempotency: Option<IdempotencyRecord>,
    /// The bytes of the deployment objects among the changes, by digest. Content that is stored already may be
    /// left out: each is kept once, however many objects have it.
    pub contents: BTreeMap<Digest, Bytes>,
    /// The audit records, at least one.
    pub audit: Vec<AuditRecord>,
}

/// The answer to a request that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// Whose key it is, in the form of [`ActorRef`]'s `Display`.
    pub actor: String,
    /// The key, as the caller chose it.
    pub key: String,
    /// SHA-256 of the request.
    pub fingerprint: Digest,
    /// The operation's outcome, without secrets.
    pub outcome: serde_json::Value,
    /// When.
    pub at: Timestamp,
}

impl IdempotencyRecord {
    /// What was recorded at this time or before is forgotten now: its key is free again.
    pub fn forgotten(now: Timestamp) -> Timestamp {
        now.minus(Duration::from_secs(limits::IDEMPOTENCY_HOURS * 3600))
    }
}

/// What must be so at the moment of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// The entity exists with exactly this version.
    Version(EntityKey, Version),
    /// The generator, which the commit changes, owns no living stack when all of the commit is done; otherwise it is a
    /// [`Conflict`](StoreError::Conflict) on the generator.
    OwnsNoStacks(GeneratorId),
}

/// A commit's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The position of its last change.
    pub position: FeedPosition,
}

/// Times of last activity: telemetry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    /// Agents that polled.
    pub agents: Vec<(AgentId, Timestamp)>,
    /// Keys that were used.
    pub keys: Vec<(KeyId, Timestamp)>,
}

impl Commit {
    /// Checks what every store would have to check: something changes, somebody is answerable, and no
    /// entity changes twice.
    pub fn validate(&self) -> Result<(), StoreError> {
        if self.changes.is_empty() {
            return Err(StoreError::Malformed("a commit changes something"));
        }
        if self.audit.is_empty() {
            return Err(StoreError::Malformed("a commit has an audit record"));
        }
        let mut keys: Vec<EntityKey> = self.changes.iter().map(Change::key).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair.first() == pair.get(1)) {
            return Err(StoreError::Malformed("a commit changes an entity once"));
        }
        Ok(())
    }
}
