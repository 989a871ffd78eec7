//! Pauses between the corrections of objects that other clients change repeatedly.
//!
//! Two controllers that both correct an object would fight forever, and overload the API server. After some corrections
//! in a row the agent pauses, reports the contention, and corrects the object again after growing pauses.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use brokkr_core::model::ObjectRef;

/// Number of corrections in a row after which the agent pauses.
const TOLERATED: u32 = 11;
/// First pause. Doubles with each further correction.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy)]
struct Corrections {
    count: u32,
    last_at: Instant,
}

impl Corrections {
    fn pause(&self) -> Duration {
        let Some(beyond) = self.count.checked_sub(TOLERATED) else { return Duration::ZERO };
        FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(beyond.min(16))).min(LONGEST_PAUSE)
    }
}

/// The objects that were corrected recently, and how often in a row.
#[derive(Debug, Default)]
pub(crate) struct CorrectionBackoff(HashMap<ObjectRef, Corrections>);

impl CorrectionBackoff {
    /// Whether the agent may correct an object now.
    pub(crate) fn may_correct(&self, object: &ObjectRef, now: Instant) -> bool {
        self.0
            .get(object)
            .is_none_or(|corrections| now.saturating_duration_since(corrections.last_at) >= corrections.pause())
    }

    /// Records a correction.
    pub(crate) fn corrected(&mut self, object: &ObjectRef, now: Instant) {
        let corrections = self.0.entry(object.clone()).or_insert(Corrections { count: 0, last_at: now });
        corrections.count += 1;
        corrections.last_at = now;
    }

    /// Drops the objects that needed no correction for twice their current pause, at least twice the first one.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, corrections| {
            now.saturating_duration_since(corrections.last_at) < corrections.pause().max(FIRST_PAUSE) * 2
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contested_object_is_left_alone_for_growing_pauses() {
        let object =
            ObjectRef { group: String::new(), kind: "ConfigMap".to_owned(), namespace: None, name: "a".to_owned() };
        let mut backoff = CorrectionBackoff::default();
        let mut now = Instant::now();
        for _ in 0..TOLERATED {
            assert!(backoff.may_correct(&object, now));
            backoff.corrected(&object, now);
        }
        assert!(!backoff.may_correct(&object, now));
        now += FIRST_PAUSE;
        assert!(backoff.may_correct(&object, now));
        backoff.corrected(&object, now);
        assert!(!backoff.may_correct(&object, now + FIRST_PAUSE));
        for _ in 0..100 {
            backoff.corrected(&object, now);
        }
        assert!(backoff.may_correct(&object, now + LONGEST_PAUSE));
        backoff.forget_old(now + LONGEST_PAUSE * 2);
        assert!(backoff.0.is_empty());
    }
}
