//! Contested objects, which other clients change repeatedly.
//!
//! Two controllers that both correct an object would do so forever, and load the API server. After some corrections the
//! agent stops, reports the contention, and retries after growing pauses.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use brokkr_core::model::ObjectRef;

/// Number of consecutive corrections without a pause.
const TOLERATED: u32 = 10;
/// First pause. Doubles with each further correction.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy)]
struct Contest {
    rounds: u32,
    last: Instant,
}

impl Contest {
    fn pause(&self) -> Duration {
        let beyond = self.rounds.saturating_sub(TOLERATED);
        let factor = 2_u32.saturating_pow(beyond.saturating_sub(1).min(16));
        if beyond == 0 { Duration::ZERO } else { FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE) }
    }
}

/// The contested objects, and their recent corrections.
#[derive(Debug, Default)]
pub(crate) struct Contention(HashMap<ObjectRef, Contest>);

impl Contention {
    /// Whether the agent may correct an object now.
    pub(crate) fn may_correct(&self, object: &ObjectRef, now: Instant) -> bool {
        self.0.get(object).is_none_or(|contest| now.saturating_duration_since(contest.last) >= contest.pause())
    }

    /// Records a correction.
    pub(crate) fn corrected(&mut self, object: &ObjectRef, now: Instant) {
        let contest = self.0.entry(object.clone()).or_insert(Contest { rounds: 0, last: now });
        contest.rounds += 1;
        contest.last = now;
    }

    /// Drops objects that needed no correction for the length of their next pause.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, contest| now.saturating_duration_since(contest.last) < contest.pause().max(FIRST_PAUSE) * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contested_object_is_left_alone_for_growing_pauses() {
        let object =
            ObjectRef { group: String::new(), kind: "ConfigMap".to_owned(), namespace: None, name: "a".to_owned() };
        let mut contention = Contention::default();
        let mut now = Instant::now();
        for _ in 0..TOLERATED {
            assert!(contention.may_correct(&object, now));
            contention.corrected(&object, now);
        }
        assert!(contention.may_correct(&object, now));
        contention.corrected(&object, now);
        assert!(!contention.may_correct(&object, now));
        now += FIRST_PAUSE;
        assert!(contention.may_correct(&object, now));
        contention.corrected(&object, now);
        assert!(!contention.may_correct(&object, now + FIRST_PAUSE));
        for _ in 0..100 {
            contention.corrected(&object, now);
        }
        assert!(contention.may_correct(&object, now + LONGEST_PAUSE));
        contention.forget_old(now + LONGEST_PAUSE * 2);
        assert!(contention.0.is_empty());
    }
}
