//! Leases and retention in memory.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::model::{ActorRef, AuditId, AuditOutcome, AuditRecord, EventId, InstanceId, RequestId, Timestamp};
use crate::store::memory::state::{Held, State};
use crate::store::{Fence, Lease, LeaseRecord, Retention};

impl State {
    pub(super) fn take_lease(&mut self, name: &str, holder: InstanceId, valid_for: Duration) -> Option<Lease> {
        let held = self.leases.entry(name.to_owned()).or_default();
        match held.holder() {
            Some(other) if other != holder => return None,
            Some(_) => {}
            None => held.fencing += 1,
        }
        held.by = Some((holder, Instant::now() + valid_for));
        Some(Lease { fencing: held.fencing, valid_for })
    }

    pub(super) fn release_lease(&mut self, name: &str, holder: InstanceId) {
        if let Some(held) = self.leases.get_mut(name).filter(|held| held.holder() == Some(holder)) {
            held.by = None;
        }
    }

    pub(super) fn note_lease(&mut self, name: &str, note: Value) {
        self.leases.entry(name.to_owned()).or_default().note = note;
    }

    pub(super) fn list_leases(&self) -> Vec<LeaseRecord> {
        let record = |(name, held): (&String, &Held)| LeaseRecord {
            name: name.clone(),
            holder: held.holder(),
            fencing: held.fencing,
            note: held.note.clone(),
        };
        self.leases.iter().map(record).collect()
    }

    /// Whether the lease is still held under this number.
    pub(super) fn is_held(&self, fence: &Fence) -> bool {
        let held = self.leases.get(&fence.name);
        held.is_some_and(|held| held.fencing == fence.fencing && held.holder().is_some())
    }

    /// Drops events and audit records. The feed keeps a fixed number of changes in any case.
    pub(super) fn purge(&mut self, keep: &Retention, now: Timestamp) -> u64 {
        let mut gone = 0;
        if let Some(keep) = keep.events {
            let nil = uuid::Uuid::nil();
            let cutoff = (now.minus(keep), EventId::from_uuid(nil), crate::model::AgentId::from_uuid(nil));
            let kept = self.events.split_off(&cutoff);
            let old = std::mem::replace(&mut self.events, kept);
            for event in old.values() {
                self.event_ids.remove(&(event.agent_id, event.id));
            }
            gone += self.purged("events", old.len() as u64, now);
        }
        if let Some(keep) = keep.audit {
            let kept = self.audit.split_off(&(now.minus(keep), AuditId::from_uuid(uuid::Uuid::nil())));
            let old = std::mem::replace(&mut self.audit, kept);
            gone += self.purged("audit", old.len() as u64, now);
        }
        gone
    }

    fn purged(&mut self, what: &str, gone: u64, now: Timestamp) -> u64 {
        if gone > 0 {
            self.add_audit(vec![AuditRecord {
                id: AuditId::generate(),
                at: now,
                actor: ActorRef::System,
                subject: None,
                action: format!("purge.{what}"),
                object_kind: None,
                object_id: None,
                request_id: RequestId::generate(),
                source: None,
                outcome: AuditOutcome::Success,
                detail: Some(gone.to_string()),
                changes: None,
                count: 1,
            }]);
        }
        gone
    }
}
