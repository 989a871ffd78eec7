//! An injected clock, so that tests and simulations control the time.

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::into_shared::into_shared;
use crate::model::Timestamp;

/// The source of wall-clock time for the broker.
///
/// # To ensure correctness
///
/// 1. `now` returns microseconds, the precision of [`Timestamp`].
/// 2. `now` never blocks.
/// 3. `sleep_until` ends when `now` has reached the time, not before; it may end later. A clock that does not advance with
///    the operating system's must implement it.
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

    /// Waits until this time. Default: sleeps for the difference, by tokio's clock. Cancellation safe.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let left = at.since(self.now());
                if left.is_zero() {
                    return;
                }
                // Rounded up: timers have a precision of milliseconds.
                tokio::time::sleep(left.max(Duration::from_millis(1))).await;
            }
        })
    }
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
pub struct ManualClock {
    now: Mutex<Timestamp>,
    /// Changes with every advance.
    advanced: watch::Sender<()>,
}

impl ManualClock {
    /// A clock that returns `start` until the first [`advance`](Self::advance).
    pub fn new(start: Timestamp) -> Self {
        Self { now: Mutex::new(start), advanced: watch::Sender::new(()) }
    }

    /// Moves the clock forward by this duration, and ends the sleeps until times that it reaches.
    pub fn advance(&self, by: Duration) {
        let mut now = self.time();
        *now = now.plus(by);
        drop(now);
        self.advanced.send_replace(());
    }

    fn time(&self) -> MutexGuard<'_, Timestamp> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.time()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        let mut advanced = self.advanced.subscribe();
        Box::pin(async move {
            // The sender is a part of the clock, so the wait cannot fail.
            while self.now() < at && advanced.changed().await.is_ok() {}
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleep_ends_when_the_manual_clock_reaches_the_time() {
        let start = SystemClock.now();
        let clock = ManualClock::new(start);
        let mut sleep = clock.sleep_until(start.plus(Duration::from_secs(10)));
        for (advance, is_over) in [(0, false), (9, false), (1, true)] {
            clock.advance(Duration::from_secs(advance));
            assert_eq!(futures::poll!(&mut sleep).is_ready(), is_over, "after {advance} s more");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn default_sleep_lasts_at_least_until_the_time() {
        /// Advances with tokio's clock.
        #[derive(Debug)]
        struct Paused(Timestamp, tokio::time::Instant);

        impl Clock for Paused {
            fn now(&self) -> Timestamp {
                self.0.plus(self.1.elapsed())
            }
        }

        let start = SystemClock.now();
        let clock = Paused(start, tokio::time::Instant::now());
        let at = start.plus(Duration::from_micros(1_000_001));
        clock.sleep_until(at).await;
        assert!(clock.now() >= at && clock.now().since(at) < Duration::from_millis(10));
    }
}
