//! Last activity of agents and keys: telemetry that is collected in memory and written in batches.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use brokkr_core::model::{AgentId, KeyId, Timestamp};
use brokkr_core::store::Activity;

#[derive(Debug, Default)]
pub(crate) struct ActivityLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    /// Time of each agent's last poll or report on this replica.
    seen: HashMap<AgentId, Timestamp>,
    /// Agent activity that is not yet written.
    agents: HashMap<AgentId, Timestamp>,
    keys: HashMap<KeyId, Timestamp>,
}

impl ActivityLog {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn agent_seen(&self, id: AgentId, at: Timestamp) {
        let mut log = self.log();
        log.seen.insert(id, at);
        log.agents.insert(id, at);
    }

    pub(crate) fn key_used(&self, id: KeyId, at: Timestamp) {
        self.log().keys.insert(id, at);
    }

    /// Time of the agent's last poll or report on this replica.
    pub(crate) fn last_seen(&self, id: AgentId) -> Option<Timestamp> {
        self.log().seen.get(&id).copied()
    }

    /// Removes the entry of a deleted agent.
    pub(crate) fn forget(&self, id: AgentId) {
        self.log().seen.remove(&id);
    }

    /// Takes the unwritten activity. If the caller fails to write it, it is lost; the next poll renews it.
    pub(crate) fn take(&self) -> Option<Activity> {
        let mut log = self.log();
        let (agents, keys) = (std::mem::take(&mut log.agents), std::mem::take(&mut log.keys));
        drop(log);
        if agents.is_empty() && keys.is_empty() {
            return None;
        }
        Some(Activity { agents: agents.into_iter().collect(), keys: keys.into_iter().collect() })
    }
}
