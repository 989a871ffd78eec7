//! Refused and failed attempts, queued for the audit. Equal attempts share one record with a count.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokkr_core::clock::Clock;
use brokkr_core::entropy::Entropy;
use brokkr_core::model::{ActorRef, AuditOutcome, AuditRecord, EntityKey, limits};

use crate::error::BrokerError;
use crate::origin::Origin;

/// Attempts with equal fields share one audit record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind {
    actor: ActorRef,
    action: &'static str,
    object: Option<EntityKey>,
    problem: Cow<'static, str>,
}

/// Queue of attempts. Bounded: beyond [`limits::DENIALS_QUEUED`] distinct entries, further ones are counted by action and
/// problem only.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    waiting: Mutex<BTreeMap<Kind, AuditRecord>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl AttemptLog {
    pub(crate) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { waiting: Mutex::default(), clock, entropy }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Kind, AuditRecord>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(
        &self,
        actor: ActorRef,
        origin: &Origin,
        action: &'static str,
        object: Option<EntityKey>,
        error: &BrokerError,
    ) {
        let outcome = match error {
            BrokerError::Unauthenticated
            | BrokerError::Forbidden
            | BrokerError::NotFound
            | BrokerError::AgentRetired => AuditOutcome::Denied,
            _ => AuditOutcome::Failed,
        };
        self.record_problem(actor, origin, action, object, error.slug().into(), outcome);
    }

    /// Records an attempt with a problem text. Callers use few distinct texts, because each makes a separate record.
    pub(crate) fn record_problem(
        &self,
        actor: ActorRef,
        origin: &Origin,
        action: &'static str,
        object: Option<EntityKey>,
        problem: Cow<'static, str>,
        outcome: AuditOutcome,
    ) {
        let now = self.clock.now();
        let mut waiting = self.waiting();
        let mut kind = Kind { actor, action, object, problem };
        if waiting.len() >= limits::DENIALS_QUEUED && !waiting.contains_key(&kind) {
            kind = Kind { actor: ActorRef::Anonymous, object: None, ..kind };
        }
        let record = waiting.entry(kind.clone()).or_insert_with(|| AuditRecord {
            id: self.entropy.uuid(now).into(),
            at: now,
            actor: kind.actor,
            action: action.to_owned(),
            object_kind: kind.object.as_ref().map(EntityKey::kind),
            object_id: kind.object.as_ref().map(EntityKey::to_string),
            request_id: origin.request_id,
            source: origin.address.map(|address| address.to_string()),
            outcome,
            detail: Some(kind.problem.clone().into_owned()),
            count: 0,
        });
        record.count += 1;
    }

    /// Takes all queued records.
    pub(crate) fn take(&self) -> BTreeMap<Kind, AuditRecord> {
        std::mem::take(&mut *self.waiting())
    }

    /// Returns records that could not be written to the queue and adds up the counts.
    pub(crate) fn put_back(&self, records: BTreeMap<Kind, AuditRecord>) {
        let mut waiting = self.waiting();
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
