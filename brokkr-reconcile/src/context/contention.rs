//! Objects that somebody else changes again and again.
//!
//! Two controllers that each put an object right would do so for ever, at the API server's cost. After some rounds
//! we give way, say so, and try again after growing pauses.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use brokkr_core::model::ObjectRef;

/// Corrections in a row that are nothing unusual.
const TOLERATED: u32 = 10;
/// The first pause; doubled with every further round.
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

/// Which objects are fought for, and how long that has been so.
#[derive(Debug, Default)]
pub(crate) struct Contention(HashMap<ObjectRef, Contest>);

impl Contention {
    /// Whether an object may be put right once more.
    pub(crate) fn may_correct(&self, object: &ObjectRef, now: Instant) -> bool {
        self.0.get(object).is_none_or(|contest| now.saturating_duration_since(contest.last) >= contest.pause())
    }

    /// Remembers that an object was put right.
    pub(crate) fn corrected(&mut self, object: &ObjectRef, now: Instant) {
        let contest = self.0.entry(object.clone()).or_insert(Contest { rounds: 0, last: now });
        contest.rounds += 1;
        contest.last = now;
    }

    /// Forgets what has been quiet for as long as the next pause would be.
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
