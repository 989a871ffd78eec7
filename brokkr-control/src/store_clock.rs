//! The store's time, continued between reads by the monotonic clock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::clock::{Clock, SystemClock};
use brokkr_core::model::Timestamp;
use tokio::time::Instant;

/// A deviation of the store's time from the monotonic clock above this is a jump.
const JUMP: Duration = Duration::from_secs(300);
/// How long controllers rest after a jump: time for people to see it before deadlines count by the new time.
const REST: Duration = Duration::from_secs(300);

/// The time of the store: all brokers on one store have the same, whatever their own clocks say.
///
/// Never goes back: if the store's time does, the clock stands still until it is reached again.
#[derive(Debug, Default)]
pub(crate) struct StoreClock(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last time that the store returned, and the moment at which it did.
    read: Option<(Timestamp, Instant)>,
    /// The highest time that was returned.
    highest: Option<Timestamp>,
    /// The end of the rest after the last jump.
    rest_ends: Option<Instant>,
}

impl State {
    fn time(&self, at: Instant) -> Option<Timestamp> {
        self.read.map(|(time, read_at)| time.plus(at.saturating_duration_since(read_at)))
    }

    /// Returns by how much the time jumped, if it did.
    fn observe(&mut self, time: Timestamp, at: Instant) -> Option<Duration> {
        let expected = self.time(at);
        self.read = Some((time, at));
        let expected = expected?;
        let jump = time.since(expected).max(expected.since(time));
        if jump <= JUMP {
            return None;
        }
        self.rest_ends = Some(at + REST);
        Some(jump)
    }

    fn now(&mut self, at: Instant) -> Option<Timestamp> {
        let now = self.time(at)?;
        let now = self.highest.map_or(now, |highest| highest.max(now));
        self.highest = Some(now);
        Some(now)
    }
}

impl StoreClock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the time of a read of the store that has just ended.
    pub(crate) fn observe(&self, time: Timestamp) {
        if let Some(jump) = self.state().observe(time, Instant::now()) {
            tracing::error!(
                seconds = jump.as_secs(),
                %time,
                "the store's time jumped; controllers rest for 5 min, then deadlines count by the new time"
            );
        }
    }

    /// Whether controllers rest because the time jumped.
    pub(crate) fn has_jumped(&self) -> bool {
        self.state().rest_ends.is_some_and(|end| Instant::now() < end)
    }
}

impl Clock for StoreClock {
    /// The operating system's time until the first read.
    fn now(&self) -> Timestamp {
        self.state().now(Instant::now()).unwrap_or_else(|| SystemClock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_the_store_and_never_goes_back() {
        let (start, began) = (SystemClock.now(), Instant::now());
        // At which second the store returned which time, the time then and ten seconds later, and whether it is a jump.
        let reads: [(u64, i64, u64, u64, bool); 7] = [
            (0, 0, 0, 10, false),
            (20, 21, 21, 31, false),
            // One second back: stands still until it is reached.
            (40, 39, 41, 49, false),
            (60, 359, 359, 369, false),
            (70, 669, 669, 679, false),
            (80, 990, 990, 1_000, true),
            (90, 90, 1_000, 1_000, true),
        ];
        let mut state = State::default();
        for (second, time, now, later, jumped) in reads {
            let at = began + Duration::from_secs(second);
            let read = start.plus(Duration::from_secs(time.unsigned_abs()));
            let before = state.now(at);
            let jump = state.observe(read, at);
            assert_eq!(jump.is_some(), jumped, "{second}: {jump:?}");
            let found = state.now(at).expect("a time");
            assert!(before.is_none_or(|before| found >= before), "{second}");
            let seconds = |time: Timestamp| time.since(start).as_secs();
            assert_eq!(seconds(found), now, "at {second}");
            assert_eq!(seconds(state.now(at + Duration::from_secs(10)).expect("a time")), later, "after {second}");
        }
    }
}
