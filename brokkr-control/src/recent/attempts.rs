//! Attempts that changed nothing: kept for the audit in batches, and under a flood as counts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;

use brokkr_core::model::{ActorRef, AuditId, AuditOutcome, AuditRecord, EntityKey, Timestamp, limits};

use crate::access::actor::Actor;
use crate::error::BrokerError;

/// What makes two attempts the same in the record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    actor: ActorRef,
    action: &'static str,
    object: Option<EntityKey>,
    problem: Cow<'static, str>,
}

/// Attempts that wait to be recorded. Bounded: beyond [`limits::DENIALS_QUEUED`] different ones, further ones are counted
/// under their action alone.
#[derive(Debug, Default)]
pub(crate) struct AttemptLog(Mutex<HashMap<Kind, AuditRecord>>);

impl AttemptLog {
    pub(crate) fn record(
        &self,
        actor: &Actor,
        action: &'static str,
        object: Option<EntityKey>,
        error: &BrokerError,
        now: Timestamp,
    ) {
        let outcome = match error {
            BrokerError::Unauthenticated
            | BrokerError::Forbidden
            | BrokerError::NotFound
            | BrokerError::AgentRetired => AuditOutcome::Denied,
            _ => AuditOutcome::Failed,
        };
        self.record_problem(actor, action, object, error.slug().into(), outcome, now);
    }

    /// Records an attempt with a problem in its own words; there must be few different ones.
    pub(crate) fn record_problem(
        &self,
        actor: &Actor,
        action: &'static str,
        object: Option<EntityKey>,
        problem: Cow<'static, str>,
        outcome: AuditOutcome,
        now: Timestamp,
    ) {
        let mut waiting = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut kind = Kind { actor: actor.who, action, object, problem };
        if waiting.len() >= limits::DENIALS_QUEUED && !waiting.contains_key(&kind) {
            kind = Kind { actor: ActorRef::Anonymous, object: None, ..kind };
        }
        let record = waiting.entry(kind.clone()).or_insert_with(|| AuditRecord {
            id: AuditId::generate(),
            at: now,
            actor: kind.actor,
            action: action.to_owned(),
            object_kind: kind.object.as_ref().map(EntityKey::kind),
            object_id: kind.object.as_ref().map(EntityKey::to_string),
            request_id: actor.origin.request_id,
            source: actor.origin.address.map(|address| address.to_string()),
            outcome,
            detail: Some(kind.problem.clone().into_owned()),
            count: 0,
        });
        record.count += 1;
    }

    /// Takes what waits.
    pub(crate) fn take(&self) -> HashMap<Kind, AuditRecord> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Puts back what could not be written; what came meanwhile is counted with it.
    pub(crate) fn put_back(&self, records: HashMap<Kind, AuditRecord>) {
        let mut waiting = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (kind, record) in records {
            let kind = if waiting.len() < limits::DENIALS_QUEUED || waiting.contains_key(&kind) {
                kind
            } else {
                Kind { actor: ActorRef::Anonymous, object: None, ..kind }
            };
            match waiting.entry(kind) {
                Entry::Occupied(mut there) => there.get_mut().count += record.count,
                Entry::Vacant(place) => drop(place.insert(record)),
            }
        }
    }
}
