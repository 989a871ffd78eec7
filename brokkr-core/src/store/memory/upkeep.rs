//! Leases and retention in memory.

use std::time::{Duration, Instant};

use crate::model::{ActorRef, AuditId, AuditOutcome, AuditRecord, EventId, InstanceId, RequestId, Timestamp};
use crate::store::memory::state::{Held, State};
use crate::store::{Lease, Retention};

impl State {
    pub(super) fn take_lease(&mut self, name: &str, holder: InstanceId, valid_for: Duration) -> Option<Lease> {
        let now = Instant::now();
        let before = self.leases.get(name);
        if before.is_some_and(|held| held.holder != holder && held.until > now) {
            return None;
        }
        let renewed = before.is_some_and(|held| held.holder == holder && held.until > now);
        let fencing = before.map_or(0, |held| held.fencing) + u64::from(!renewed);
        self.leases.insert(name.to_owned(), Held { holder, fencing, until: now + valid_for });
        Some(Lease { fencing, valid_for })
    }

    pub(super) fn release_lease(&mut self, name: &str, holder: InstanceId) {
        if let Some(held) = self.leases.get_mut(name).filter(|held| held.holder == holder) {
            held.until = Instant::now();
        }
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
