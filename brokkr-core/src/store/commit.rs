//! Commits: the unit of writing.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{
    ActorRef, AgentId, AuditRecord, Change, Digest, EntityKey, EnvironmentId, GeneratorId, KeyId, KeyOwner, Name,
    Quota, QuotaExceeded, RequestId, Timestamp, Version, limits,
};
use crate::store::{FeedPosition, StoreError};

/// One decision: changes, their preconditions, and the audit records that document them. A store records all of it or
/// nothing.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The actor that decided.
    pub actor: ActorRef,
    /// The request that led to the decision.
    pub request_id: RequestId,
    /// The time of the decision, by the broker's clock.
    pub at: Timestamp,
    /// Conditions that must hold when the commit happens. The versions of the changed entities are checked in any case.
    pub preconditions: Vec<Precondition>,
    /// The changed entities, in the order in which they appear in the feed. At least one change, at most one per
    /// entity.
    pub changes: Vec<Change>,
    /// The answer to repetitions of the request, if it has an idempotency key. The commit takes the key; a key that is
    /// taken already is [`NotUnique`](StoreError::NotUnique).
    pub idempotency: Option<IdempotencyRecord>,
    /// The contents of the deployment objects among the changes, by digest. Contents that the store has already may be
    /// left out: a store keeps each content once, however many deployment objects refer to it.
    pub contents: BTreeMap<Digest, Bytes>,
    /// The audit records. At least one.
    pub audit: Vec<AuditRecord>,
}

/// The recorded answer to a request with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// The caller that chose the key, in the form of [`ActorRef`]'s `Display`.
    pub actor: String,
    /// The idempotency key, unique per caller while it is remembered.
    pub key: String,
    /// SHA-256 of the request. A repetition with another fingerprint is an error of the caller.
    pub fingerprint: Digest,
    /// The operation's outcome, without secrets. A store keeps equal outcomes once, so that a request which changes
    /// nothing costs little, however many keys it is repeated with.
    pub outcome: serde_json::Value,
    /// The time of the record. The key is free again [`IDEMPOTENCY_HOURS`](limits::IDEMPOTENCY_HOURS) later.
    pub at: Timestamp,
}

impl IdempotencyRecord {
    /// The time up to which records are forgotten at `now`: keys that were recorded then or earlier are free again.
    pub fn forgotten(now: Timestamp) -> Timestamp {
        now.minus(Duration::from_secs(limits::IDEMPOTENCY_HOURS * 3600))
    }
}

/// A condition that must hold when a commit happens. Otherwise the commit is a [`Conflict`](StoreError::Conflict), for a quota
/// [`QuotaExceeded`](StoreError::QuotaExceeded), and for a lease [`Fenced`](StoreError::Fenced).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The entity exists and has exactly this version.
    Version(EntityKey, Version),
    /// The generator owns no living stack once the commit is done. The commit must change the generator. The conflict
    /// names the generator.
    OwnsNoStacks(GeneratorId),
    /// Nothing names the environment once the commit is done: no living agent or generator, and no key or join token that is
    /// usable at the commit's time. The commit must change the environment. The conflict names the environment. A commit
    /// that names an environment has its version among the preconditions.
    NamedByNothing(EnvironmentId),
    /// The generator's use of the quota is at most this number once the commit is done. Of concurrent commits with this
    /// precondition, none sees a use without the others.
    Within(GeneratorId, Quota, u64),
    /// The lease has this fencing number and is still held. A holder that was replaced, or whose lease ended, commits
    /// nothing any more.
    Lease(Fence),
}

/// A lease under which a commit was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The name of the lease.
    pub name: String,
    /// Its [fencing number](crate::store::Lease::fencing) when it was taken.
    pub fencing: u64,
}

/// The result of a successful commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The feed position of the commit's last change.
    pub position: FeedPosition,
}

/// Times of last activity. Telemetry: a store may lose it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    /// Agents, each with the time of its latest poll.
    pub agents: Vec<(AgentId, Timestamp)>,
    /// API keys, each with the time of its latest use.
    pub keys: Vec<(KeyId, Timestamp)>,
}

impl Commit {
    /// What the commit adds to a generator's use of a quota, and what it frees.
    pub fn moves(&self, generator: GeneratorId, quota: Quota) -> (u64, u64) {
        let of_change = |change: &Change| match (quota, change) {
            (Quota::Stacks, Change::Stack(it)) if it.generator_id == generator => {
                (u64::from(it.version == Version::FIRST), u64::from(it.deleted_at.is_some()))
            }
            (Quota::Keys, Change::Key(it)) if it.owner == (KeyOwner::Generator { id: generator }) => {
                (u64::from(it.version == Version::FIRST), u64::from(it.deleted_at.is_some()))
            }
            (Quota::Revisions, Change::DeploymentObject(it)) if it.generator_id == generator => (1, 0),
            (Quota::ManifestBytes, Change::DeploymentObject(it)) if it.generator_id == generator => (it.size, 0),
            _ => (0, 0),
        };
        let owner = ActorRef::Generator { id: generator, key_id: None }.to_string();
        let answers = self.idempotency.iter().filter(|it| quota == Quota::IdempotencyRecords && it.actor == owner);
        let sum = |sum: (u64, u64), it: (u64, u64)| (sum.0.saturating_add(it.0), sum.1.saturating_add(it.1));
        self.changes.iter().map(of_change).fold((answers.count() as u64, 0), sum)
    }

    /// Checks [`Precondition::Within`], on behalf of every store, given the use before the commit.
    ///
    /// # Errors
    ///
    /// [`QuotaExceeded`](StoreError::QuotaExceeded) when the commit would exceed the quota.
    pub fn check_quota(&self, generator: GeneratorId, quota: Quota, used: u64, maximum: u64) -> Result<(), StoreError> {
        let (added, freed) = self.moves(generator, quota);
        if added == 0 || used.saturating_add(added).saturating_sub(freed) <= maximum {
            return Ok(());
        }
        Err(StoreError::QuotaExceeded(QuotaExceeded { quota, used, maximum }))
    }

    /// The name of an environment that the commit changes.
    pub fn changed_environment(&self, id: EnvironmentId) -> Option<&Name> {
        self.changes.iter().find_map(|change| match change {
            Change::Environment(it) if it.id == id => Some(&it.name),
            _ => None,
        })
    }

    /// Checks the shape of the commit, on behalf of every store.
    ///
    /// # Errors
    ///
    /// [`Malformed`](StoreError::Malformed) when the commit has no change, no audit record, or two changes of one
    /// entity.
    pub fn validate(&self) -> Result<(), StoreError> {
        if self.changes.is_empty() {
            return Err(StoreError::Malformed("the commit has no changes"));
        }
        if self.audit.is_empty() {
            return Err(StoreError::Malformed("the commit has no audit record"));
        }
        let mut keys: Vec<EntityKey> = self.changes.iter().map(Change::key).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair.first() == pair.get(1)) {
            return Err(StoreError::Malformed("the commit changes one entity twice"));
        }
        Ok(())
    }
}
