//! The timeout for request heads, with one timer per connection.
//!
//! hyper creates a timer for every request head and drops it when the head has arrived. As runtime timers, each would be
//! registered in tokio's timer wheel and removed again under one lock, for a timeout that almost never fires. Here each
//! connection keeps one registered timer and checks on firing whether the deadline still applies.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

type Alarm = Pin<Box<tokio::time::Sleep>>;

/// The timer of one connection. Only the sleep that was created last is guaranteed to wake, so it suits HTTP/1, which reads
/// one request head at a time.
pub(super) struct HeadTimer(Arc<Mutex<Alarm>>);

impl HeadTimer {
    /// Registers the timer on the current tokio runtime.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Box::pin(tokio::time::sleep(Duration::ZERO)))))
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Until { deadline: deadline.into(), alarm: self.0.clone() })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

struct Until {
    deadline: tokio::time::Instant,
    alarm: Arc<Mutex<Alarm>>,
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // A poisoned lock means that a waker panicked; the timer itself is unchanged.
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // The timer is usually set to the earlier deadline of a previous sleep: it fires, and is then reset to this
            // deadline.
            if alarm.deadline() > self.deadline {
                alarm.as_mut().reset(self.deadline);
            }
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(self.deadline);
        }
    }
}

impl Sleep for Until {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn last_created_sleep_wakes_at_its_deadline() {
        let timer = HeadTimer::new();
        let began = tokio::time::Instant::now();
        let after = |seconds| began.into_std() + Duration::from_secs(seconds);
        for (asked, given_up_after) in [(10, Some(4)), (14, Some(9)), (19, None), (40, Some(2)), (30, None)] {
            let sleep = timer.sleep_until(after(asked));
            let Some(seconds) = given_up_after else {
                sleep.await;
                assert_eq!(began.elapsed(), Duration::from_secs(asked));
                continue;
            };
            assert!(tokio::time::timeout(Duration::from_secs(seconds), sleep).await.is_err());
        }
    }
}
