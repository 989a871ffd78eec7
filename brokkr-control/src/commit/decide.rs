//! The pattern of every write: decide on the current state, commit, and retry if a concurrent commit won.

use std::collections::BTreeMap;

use brokkr_core::model::{AuditOutcome, AuditRecord, Change, Digest, Entity, EntityKey, limits};
use brokkr_core::store::{Commit, IdempotencyRecord, Precondition, StoreError, UniqueKey};
use bytes::Bytes;
use serde_json::Value;

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};
use crate::metrics;
use crate::recent::contents;

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
        }
    }

    /// A decision with these changes. The first one is the audited object.
    pub(crate) fn commit(outcome: T, changes: Vec<Change>) -> Self {
        let object = changes.first().map(Change::key);
        Self { changes, object, ..Self::nothing(outcome) }
    }

    /// Updates an entity. The audit record lists the changed fields.
    pub(crate) fn update<E: Entity>(outcome: T, before: &E, after: E) -> Self {
        let changed = changed_fields(before, &after);
        let decision = Self::commit(outcome, vec![after.into()]);
        if changed.is_empty() { decision } else { decision.detail(format!("changed: {}", changed.join(", "))) }
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

/// The names of the fields that differ, except those that differ in every version.
fn changed_fields<E: Entity>(before: &E, after: &E) -> Vec<String> {
    let (Ok(Value::Object(before)), Ok(Value::Object(after))) =
        (serde_json::to_value(before), serde_json::to_value(after))
    else {
        return Vec::new();
    };
    let always = ["version", "updated_at"];
    let differs = |key: &&String| !always.contains(&key.as_str()) && before.get(*key) != after.get(*key);
    after.keys().filter(differs).cloned().collect()
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
            let decision = decide().await?;
            if decision.changes.is_empty() {
                if let Some(answer) = decision.idempotency {
                    self.parts.store.idempotency_keep(answer).await?;
                }
                return Ok(decision.outcome);
            }
            let at = self.now();
            let audit = AuditRecord {
                id: self.new_id(),
                at,
                actor: actor.who,
                subject: actor.subject().map(str::to_owned),
                action: name.to_owned(),
                object_kind: decision.object.as_ref().map(EntityKey::kind),
                object_id: decision.object.as_ref().map(EntityKey::to_string),
                request_id: actor.origin.request_id,
                source: actor.origin.address.map(|address| address.to_string()),
                outcome: AuditOutcome::Success,
                detail: decision.detail,
                count: 1,
            };
            let commit = Commit {
                actor: actor.who,
                request_id: actor.origin.request_id,
                at,
                preconditions: decision.preconditions,
                changes: decision.changes,
                contents: decision.contents,
                idempotency: decision.idempotency,
                audit: vec![audit],
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
}
