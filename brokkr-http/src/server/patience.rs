//! How long a client may take to send a request's head, with one timer per connection.
//!
//! hyper takes a timer for every head and gives it back when the head is there. As timers of the runtime each would be put into
//! the list of all and taken out again, under one lock, for something that nearly never happens. Here the connection's one timer
//! stays in the list, and looks when it fires whether it was meant.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

type Alarm = Pin<Box<tokio::time::Sleep>>;

/// The timer of one connection. Of what sleeps by it at the same time only the last that was asked is sure to wake, so it is for
/// HTTP/1, where there is one head at a time.
pub(super) struct Patience(Arc<Mutex<Alarm>>);

impl Patience {
    /// On the present tokio runtime.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Box::pin(tokio::time::sleep(Duration::ZERO)))))
    }
}

impl Timer for Patience {
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
        // A poisoned lock would mean that a waker panicked; the timer is as it was.
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // What was asked before this one was for an earlier time as a rule: it fires, and is then set to this one's.
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
    async fn the_last_that_was_asked_wakes_at_its_time() {
        let timer = Patience::new();
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
