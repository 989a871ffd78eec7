//! An injected clock, so that tests and simulations control the time.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

use crate::into_shared::into_shared;
use crate::model::Timestamp;

/// The source of wall-clock time for the broker.
///
/// # To ensure correctness
///
/// 1. `now` returns microseconds, the precision of [`Timestamp`].
/// 2. `now` never blocks.
///
/// Time may go backwards: Brokkr orders changes by feed position and version, never by time.
///
/// ```
/// use brokkr_core::clock::{Clock, SystemClock};
/// use brokkr_core::model::Timestamp;
///
/// /// A clock that stands still, for snapshots in tests.
/// #[derive(Debug)]
/// struct Frozen(Timestamp);
///
/// impl Clock for Frozen {
///     fn now(&self) -> Timestamp {
///         self.0
///     }
/// }
///
/// let clock = Frozen(SystemClock.now());
/// assert_eq!(clock.now(), clock.now());
/// ```
pub trait Clock: Debug + Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
}

into_shared! {
    /// Conversion into a shared [`Clock`]. Implemented for every `Clock`, for `Arc<T>` of one, and for `Arc<dyn
    /// Clock>`.
    IntoClock::into_clock => Clock
}

/// The operating system's clock. The broker's default.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::new(jiff::Timestamp::now())
    }
}

/// A clock that advances only by [`advance`](Self::advance), for tests and simulations.
///
/// ```
/// use std::time::Duration;
///
/// use brokkr_core::clock::{Clock as _, ManualClock, SystemClock};
///
/// let start = SystemClock.now();
/// let clock = ManualClock::new(start);
/// assert_eq!(clock.now(), start);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(start), Duration::from_secs(60));
/// ```
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that returns `start` until the first [`advance`](Self::advance).
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves the clock forward by this duration.
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
