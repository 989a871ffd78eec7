//! Time comes from one injected clock, so that tests decide what time it is.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

use crate::into_shared::into_shared;
use crate::model::Timestamp;

/// Where the broker takes the time of day from.
///
/// To ensure correctness an implementation
///
/// 1. returns microseconds (that is what [`Timestamp`] holds; databases keep no more), and
/// 2. never blocks.
///
/// It may go back: nothing in Brokkr derives order from the time of day.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

into_shared! {
    /// A [`Clock`] by value, in an `Arc`, or as `Arc<dyn Clock>`.
    IntoClock::into_clock => Clock
}

/// The clock of the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::new(jiff::Timestamp::now())
    }
}

/// A clock that moves only when told to: for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `start` until it is moved.
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *now = now.plus(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
