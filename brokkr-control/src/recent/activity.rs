//! Last activity of agents and keys: telemetry that is collected in memory and written in batches.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::model::{AgentId, KeyId, Timestamp};
use brokkr_core::store::Activity;

/// The precision of the times of last use: each broker writes them at most this often for a key.
const PRECISION: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct ActivityLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    /// Time of each agent's last poll or report on this replica.
    seen: HashMap<AgentId, Timestamp>,
    /// Agent activity that is not yet written.
    agents: HashMap<AgentId, Timestamp>,
    /// Uses of keys that are not yet written.
    keys: HashMap<KeyId, Timestamp>,
    /// Uses of keys that were written within [`PRECISION`].
    written: HashMap<KeyId, Timestamp>,
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
        let mut log = self.log();
        if log.written.get(&id).is_none_or(|written| at.since(*written) >= PRECISION) {
            log.written.insert(id, at);
            log.keys.insert(id, at);
        }
    }

    /// Time of the agent's last poll or report on this replica.
    pub(crate) fn last_seen(&self, id: AgentId) -> Option<Timestamp> {
        self.log().seen.get(&id).copied()
    }

    /// Removes the entry of a deleted agent.
    pub(crate) fn forget(&self, id: AgentId) {
        self.log().seen.remove(&id);
    }

    /// Takes the unwritten activity. If the caller fails to write it, it is lost; later polls and requests renew it.
    pub(crate) fn take(&self) -> Option<Activity> {
        let mut log = self.log();
        let (agents, keys) = (std::mem::take(&mut log.agents), std::mem::take(&mut log.keys));
        if let Some(newest) = keys.values().max() {
            log.written.retain(|_, written| newest.since(*written) < PRECISION);
        }
        drop(log);
        if agents.is_empty() && keys.is_empty() {
            return None;
        }
        Some(Activity { agents: agents.into_iter().collect(), keys: keys.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};

    use super::*;

    #[test]
    fn use_of_a_key_is_written_at_most_once_a_minute() {
        let (log, key, start) = (ActivityLog::default(), KeyId::generate(), SystemClock.now());
        let at = |seconds| start.plus(Duration::from_secs(seconds));
        let mut written = Vec::new();
        for second in 0..=150 {
            log.key_used(key, at(second));
            written.extend(log.take().into_iter().flat_map(|it| it.keys));
        }
        assert_eq!(written, [(key, at(0)), (key, at(60)), (key, at(120))]);
        log.key_used(KeyId::generate(), at(300));
        assert_eq!(log.take().map(|it| it.keys.len()), Some(1));
        assert_eq!(log.log().written.len(), 1, "old entries are dropped");
    }
}
