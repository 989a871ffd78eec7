//! When agents and keys were active: telemetry, in memory first and written in batches.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use brokkr_core::model::{AgentId, KeyId, Timestamp};
use brokkr_core::store::Activity;

#[derive(Debug, Default)]
pub(crate) struct ActivityLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    /// When this replica saw each agent last.
    seen: HashMap<AgentId, Timestamp>,
    /// What is to be written of that.
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

    /// When this replica saw the agent last.
    pub(crate) fn last_seen(&self, id: AgentId) -> Option<Timestamp> {
        self.log().seen.get(&id).copied()
    }

    /// Frees what was kept for an agent that is gone.
    pub(crate) fn forget(&self, id: AgentId) {
        self.log().seen.remove(&id);
    }

    /// Takes what is to be written. What cannot be written is lost: the next poll says it again.
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
