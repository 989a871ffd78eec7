//! The pattern of every write: decide on the current state, commit, and retry if a concurrent commit won.

use std::collections::BTreeMap;

use brokkr_core::model::{AuditOutcome, AuditRecord, Change, Digest, Entity, EntityKey, Timestamp, Version, limits};
use brokkr_core::store::{Commit, IdempotencyRecord, Precondition, StoreError, UniqueKey};
use bytes::Bytes;

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::changes::Update;
use crate::error::{BrokerError, BrokerResult};
use crate::metrics;
use crate::recent::contents;
use crate::transport::Transport as _;

/// The result of deciding on an operation.
pub(crate) struct Decision<T> {
    /// The operation's return value.
    pub(crate) outcome: T,
    /// The changes to commit; empty if the current state is already as requested.
    pub(crate) changes: Vec<Change>,
    /// The bytes of new deployment objects, by digest.
    pub(crate) contents: BTreeMap<Digest, Bytes>,
    /// The stored response for repeated requests.
    pub(crate) idempotency: Option<IdempotencyRecord>,
    /// Conditions that must still hold at commit time, beyond the versions of the changed entities.
    pub(crate) preconditions: Vec<Precondition>,
    /// The audited object.
    pub(crate) object: Option<EntityKey>,
    /// The details in the audit record.
    pub(crate) detail: Option<String>,
    /// The updated entities, for the audit.
    pub(crate) updates: Vec<Update>,
}

impl<T> Decision<T> {
    /// A decision without changes.
    pub(crate) fn nothing(outcome: T) -> Self {
        Self {
            outcome,
            changes: Vec::new(),
            contents: BTreeMap::new(),
            idempotency: None,
            preconditions: Vec::new(),
            object: None,
            detail: None,
            updates: Vec::new(),
        }
    }

    /// A decision with these changes. The first one is the audited object.
    pub(crate) fn commit(outcome: T, changes: Vec<Change>) -> Self {
        let object = changes.first().map(Change::key);
        Self { changes, object, ..Self::nothing(outcome) }
    }

    /// Updates an entity. The audit record says what changed.
    pub(crate) fn update<E: Entity>(outcome: T, before: &E, after: E) -> Self {
        let update = Update::of(before, &after);
        let changed = update.changed_fields();
        let decision = Self::commit(outcome, vec![after.into()]).updating(update);
        if changed.is_empty() { decision } else { decision.detail(format!("changed: {}", changed.join(", "))) }
    }

    /// Says what one of the changes updates. If it is not the audited object, it gets an audit record of its own.
    pub(crate) fn updating(mut self, update: Update) -> Self {
        self.updates.push(update);
        self
    }

    /// Updates a further entity. It gets an audit record of its own.
    pub(crate) fn and_update<E: Entity>(mut self, before: &E, after: E) -> Self {
        self.updates.push(Update::of(before, &after));
        self.changes.push(after.into());
        self
    }

    /// Adds a precondition to the commit.
    pub(crate) fn provided(mut self, precondition: Precondition) -> Self {
        self.preconditions.push(precondition);
        self
    }

    /// Adds details to the audit record.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Whether the audit says what changed in the entity. Agents change the others, by reports and joins, or nobody does.
fn is_explained(change: &Change) -> bool {
    match change {
        Change::Generator(_) | Change::Key(_) | Change::Agent(_) | Change::Stack(_) => true,
        Change::Environment(_) | Change::Grant(_) | Change::StackRelease(_) => true,
        Change::DeploymentObject(_) | Change::Event(_) | Change::AgentSession(_) => false,
        Change::Assignment(_) | Change::StackStatus(_) | Change::JoinToken(_) => false,
        Change::AgentSilence(_) => false,
        // Set again after a removal, they have a version above the first and no state before.
        Change::Target(_) | Change::Pin(_) => false,
    }
}

/// Whether the decision says what each of its updates changes. Deletions need no explanation.
fn is_complete<T>(decision: &Decision<T>) -> bool {
    let is_update = |change: &&Change| change.version() > Version::FIRST && !change.is_tombstone();
    let mut updates = decision.changes.iter().filter(is_update).filter(|change| is_explained(change));
    updates.all(|change| decision.updates.iter().any(|update| update.object == change.key()))
}

impl Broker {
    /// Decides and commits, with retries after lost races up to [`limits::COMMIT_TRIES`]. `object` is the object that the
    /// caller named, for the audit record of a failure.
    ///
    /// Returns after this broker's view contains the change, so that the caller can read its own write here.
    pub(crate) async fn decide<T, F>(
        &self,
        actor: &Actor,
        name: &'static str,
        object: Option<EntityKey>,
        decide: impl Fn() -> F,
    ) -> BrokerResult<T>
    where
        F: Future<Output = BrokerResult<Decision<T>>>,
    {
        let result = self.decide_unrecorded(actor, name, decide).await;
        if let Err(error) = &result {
            self.failed(actor, name, object, error);
        }
        result
    }

    pub(crate) async fn decide_unrecorded<T, F>(
        &self,
        actor: &Actor,
        name: &'static str,
        decide: impl Fn() -> F,
    ) -> BrokerResult<T>
    where
        F: Future<Output = BrokerResult<Decision<T>>>,
    {
        for _ in 0..limits::COMMIT_TRIES {
            let mut decision = decide().await?;
            if decision.changes.is_empty() {
                if let Some(answer) = decision.idempotency {
                    self.parts.store.idempotency_keep(answer).await?;
                }
                return Ok(decision.outcome);
            }
            debug_assert!(is_complete(&decision), "{name} does not say what it updates");
            let at = self.now();
            let fence = actor.fence.as_ref().map(|fence| Precondition::Lease((**fence).clone()));
            let audit = self.audit_of(actor, name, at, &mut decision);
            let commit = Commit {
                actor: actor.who,
                request_id: actor.origin.request_id,
                at,
                preconditions: decision.preconditions.into_iter().chain(fence).collect(),
                changes: decision.changes,
                contents: decision.contents,
                idempotency: decision.idempotency,
                audit,
            };
            let (epoch, published) = (self.epoch(), contents::published(&commit.changes, &commit.contents));
            match self.parts.store.commit(commit).await {
                Ok(committed) => {
                    metrics::committed(name, "committed");
                    // Fill the cache before the view wakes the agents that will fetch these contents.
                    for found in published {
                        self.parts.contents.keep(epoch, found).await;
                    }
                    self.parts.view.caught_up(committed.position).await;
                    return Ok(decision.outcome);
                }
                // A concurrent commit won: decide again on the new state. The broker assigns revisions and key ids, so it
                // can choose new ones.
                Err(
                    StoreError::Conflict(_)
                    | StoreError::NotUnique(UniqueKey::StackRevision(_) | UniqueKey::StackName | UniqueKey::KeyShortId),
                ) => metrics::committed(name, "lost"),
                Err(error) => {
                    metrics::committed(name, "failed");
                    return Err(error.into());
                }
            }
        }
        Err(BrokerError::Contention)
    }

    /// The audit record of a decision, and one for each further entity that it updates.
    fn audit_of<T>(
        &self,
        actor: &Actor,
        name: &'static str,
        at: Timestamp,
        decision: &mut Decision<T>,
    ) -> Vec<AuditRecord> {
        let record = |object: Option<EntityKey>, detail, changes| AuditRecord {
            id: self.new_id(),
            at,
            actor: actor.who,
            subject: actor.subject().map(str::to_owned),
            action: name.to_owned(),
            object_kind: object.as_ref().map(EntityKey::kind),
            object_id: object.as_ref().map(EntityKey::to_string),
            request_id: actor.origin.request_id,
            source: actor.origin.address.map(|address| address.to_string()),
            outcome: AuditOutcome::Success,
            detail,
            changes,
            count: 1,
        };
        let updates = std::mem::take(&mut decision.updates);
        if updates.is_empty() {
            return vec![record(decision.object, decision.detail.take(), None)];
        }
        let key = self.derived_key("audit-changes");
        let (mut own, mut others) = (None, Vec::new());
        for update in updates {
            let object = update.object;
            let changes = Some(update.changes(&key));
            if Some(object) == decision.object {
                own = changes;
            } else {
                others.push(record(Some(object), None, changes));
            }
        }
        let mut audit = vec![record(decision.object, decision.detail.take(), own)];
        audit.append(&mut others);
        audit
    }
}
