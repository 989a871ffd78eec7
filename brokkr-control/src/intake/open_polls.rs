//! The waiting polls of each key.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use brokkr_core::model::{KeyId, Quota, QuotaExceeded};
use metrics::{Gauge, gauge};

use crate::error::BrokerError;
use crate::metrics::POLLS_WAITING;

/// Counts the waiting polls of each key, up to a limit. Only keys with waiting polls take memory.
pub(crate) struct OpenPolls {
    most: u64,
    open: Mutex<HashMap<KeyId, u64>>,
    waiting: Gauge,
}

/// One waiting poll. Ends when dropped.
pub(crate) struct OpenPoll<'a> {
    of: &'a OpenPolls,
    key: KeyId,
}

impl OpenPolls {
    pub(crate) fn new(most: u64) -> Self {
        Self { most, open: Mutex::default(), waiting: gauge!(POLLS_WAITING) }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<KeyId, u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a waiting poll of a key, or fails if the key has too many.
    pub(crate) fn begin(&self, key: KeyId) -> Result<OpenPoll<'_>, BrokerError> {
        let mut open = self.open();
        let used = open.get(&key).copied().unwrap_or(0);
        if used >= self.most {
            let exceeded = QuotaExceeded { quota: Quota::OpenPolls, used, maximum: self.most };
            return Err(BrokerError::QuotaExceeded(exceeded));
        }
        open.insert(key, used + 1);
        self.waiting.increment(1.0);
        Ok(OpenPoll { of: self, key })
    }
}

impl Drop for OpenPoll<'_> {
    fn drop(&mut self) {
        self.of.waiting.decrement(1.0);
        let mut open = self.of.open();
        if let Some(used) = open.get_mut(&self.key) {
            *used -= 1;
            if *used == 0 {
                open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_polls_of_a_key_are_limited_and_end() {
        let polls = OpenPolls::new(2);
        let (one, other) = (KeyId::generate(), KeyId::generate());
        let first = polls.begin(one).expect("free");
        let second = polls.begin(one).expect("free");
        assert!(matches!(polls.begin(one), Err(BrokerError::QuotaExceeded(it)) if it.used == 2 && it.maximum == 2));
        drop(polls.begin(other).expect("another key"));
        drop(first);
        drop(polls.begin(one).expect("one has ended"));
        drop(second);
        assert!(polls.open().is_empty(), "nothing is kept of keys without waiting polls");
    }
}
