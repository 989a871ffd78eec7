//! When agents and keys were active: telemetry, in memory first and written in batches.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::model::{AgentId, KeyId, Timestamp};
use crate::store::Activity;

#[derive(Debug, Default)]
pub(super) struct ActivityLog {
    agents: Mutex<HashMap<AgentId, Timestamp>>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    agents: HashMap<AgentId, Timestamp>,
    keys: HashMap<KeyId, Timestamp>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl ActivityLog {
    pub(super) fn agent_seen(&self, id: AgentId, at: Timestamp) {
        locked(&self.agents).insert(id, at);
        locked(&self.waiting).agents.insert(id, at);
    }

    pub(super) fn key_used(&self, id: KeyId, at: Timestamp) {
        locked(&self.waiting).keys.insert(id, at);
    }

    /// When this replica saw the agent last.
    pub(super) fn last_seen(&self, id: AgentId) -> Option<Timestamp> {
        locked(&self.agents).get(&id).copied()
    }

    /// Frees what was kept for an agent that is gone.
    pub(super) fn forget(&self, id: AgentId) {
        locked(&self.agents).remove(&id);
    }

    /// Takes what is to be written. What cannot be written is lost: the next poll says it again.
    pub(super) fn take(&self) -> Option<Activity> {
        let waiting = std::mem::take(&mut *locked(&self.waiting));
        if waiting.agents.is_empty() && waiting.keys.is_empty() {
            return None;
        }
        Some(Activity { agents: waiting.agents.into_iter().collect(), keys: waiting.keys.into_iter().collect() })
    }
}
