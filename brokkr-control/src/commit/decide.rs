//! The pattern of every write: authorise, decide on the present state, commit; again if somebody was faster.

use std::collections::BTreeMap;

use brokkr_core::model::{ActorRef, AuditOutcome, AuditRecord, Change, Digest, Entity, EntityKey, Timestamp, limits};
use brokkr_core::store::{Commit, IdempotencyRecord, Precondition, Scope, StoreError, UniqueKey};
use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::BrokerError;
use crate::error::BrokerResult;
use crate::metrics;
use crate::recent::contents;

/// What an operation decided.
pub(crate) struct Decision<T> {
    /// What the caller gets.
    pub(crate) outcome: T,
    /// What changes; nothing when everything is as it should be already.
    pub(crate) changes: Vec<Change>,
    /// The bytes of deployment objects among the changes.
    pub(crate) contents: BTreeMap<Digest, Bytes>,
    /// How to answer when the request is repeated.
    pub(crate) idempotency: Option<IdempotencyRecord>,
    /// What else must still be so.
    pub(crate) preconditions: Vec<Precondition>,
    /// What the audit names as the object.
    pub(crate) object: Option<EntityKey>,
    /// What the audit says beyond that.
    pub(crate) detail: Option<String>,
}

impl<T> Decision<T> {
    /// Nothing has to change.
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

    /// These changes; the first one names the audit's object.
    pub(crate) fn commit(outcome: T, changes: Vec<Change>) -> Self {
        let object = changes.first().map(Change::key);
        Self { changes, object, ..Self::nothing(outcome) }
    }

    /// An entity becomes another version of itself. The audit names the fields that differ.
    pub(crate) fn update<E: Entity>(outcome: T, before: &E, after: E) -> Self {
        let changed = changed_fields(before, &after);
        let decision = Self::commit(outcome, vec![after.into()]);
        if changed.is_empty() { decision } else { decision.detail(format!("changed: {}", changed.join(", "))) }
    }

    /// Only as long as this entity is as it was read.
    pub(crate) fn provided(mut self, precondition: Precondition) -> Self {
        self.preconditions.push(precondition);
        self
    }

    /// Says more in the audit.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// The fields of an entity that differ, without those that differ in every version.
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
    /// The time of this decision.
    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// A new id.
    pub(crate) fn new_id<I: From<Uuid>>(&self) -> I {
        self.parts.entropy.uuid(self.now()).into()
    }

    /// Whether the actor may do this at all, and on whose rows. A denial is recorded, with the object that was named.
    pub(crate) fn authorise(
        &self,
        actor: &Actor,
        action: Action,
        name: &'static str,
        object: Option<EntityKey>,
    ) -> BrokerResult<Scope> {
        self.permit(actor, action, name, object)?;
        Ok(self.scope(actor))
    }

    /// Whose rows the actor may see, as far as the view knows.
    pub(crate) fn scope(&self, actor: &Actor) -> Scope {
        match actor.who {
            ActorRef::System | ActorRef::Admin { .. } | ActorRef::AdminReadOnly { .. } | ActorRef::Anonymous => {
                Scope::All
            }
            ActorRef::Generator { id, .. } => Scope::Generator(id),
            ActorRef::Agent { id, .. } => Scope::Agent { id, stacks: self.parts.view.stacks_of(id) },
        }
    }

    /// Whether the actor may do this at all. A denial is recorded.
    pub(crate) fn permit(
        &self,
        actor: &Actor,
        action: Action,
        name: &'static str,
        object: Option<EntityKey>,
    ) -> BrokerResult<()> {
        if action.allowed(actor.kind()) {
            return Ok(());
        }
        self.failed(actor, name, object, &BrokerError::Forbidden);
        Err(BrokerError::Forbidden)
    }

    /// Records an attempt that changed nothing.
    pub(crate) fn failed(&self, actor: &Actor, name: &'static str, object: Option<EntityKey>, error: &BrokerError) {
        if let BrokerError::Internal(source) = error {
            tracing::error!(action = name, request_id = %actor.request_id(), error = %source, "operation failed");
        }
        self.parts.attempts.record(actor, name, object, error);
    }

    /// Decides and commits until it succeeds, is refused, or lost too many races. `object` is what the caller
    /// named, for the record of a failure.
    ///
    /// Returns after this broker's own view has the change, so that whoever did something also sees it.
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
                    // First of all: agents are about to ask for them.
                    for found in published {
                        self.parts.contents.keep(epoch, found).await;
                    }
                    self.parts.view.caught_up(committed.position).await;
                    return Ok(decision.outcome);
                }
                // Somebody else was faster: look again. A revision number is ours to choose, a name is not.
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
