//! Polls that record newly listed stacks after they have waited.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::BrokerError;

/// Polls that record after a wait at once. One change can wake every agent of a fleet, and a poll that has waited has no place in a
/// class of work any more.
const AT_ONCE: usize = 64;
/// How long a poll waits for its turn.
const PATIENCE: Duration = Duration::from_secs(15);

/// The turns of woken polls to write to the store. They are served in their order.
#[derive(Debug)]
pub(crate) struct Listings(Semaphore);

impl Default for Listings {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Listings {
    /// Waits for a turn. Fails if none becomes free in time, so that the agent polls again later.
    ///
    /// Cancellation safe: a poll that is dropped leaves the queue.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, BrokerError> {
        match tokio::time::timeout(PATIENCE, self.0.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(BrokerError::Overloaded),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_limited_and_waited_for() {
        let listings = Listings::default();
        let mut turns = Vec::new();
        for _ in 0..AT_ONCE {
            turns.push(listings.turn().await.expect("free"));
        }
        let mut next = Box::pin(listings.turn());
        assert!((&mut next).now_or_never().is_none(), "all turns are taken");
        turns.pop();
        assert!(next.now_or_never().is_some_and(|it| it.is_ok()));
        let began = tokio::time::Instant::now();
        let _held = listings.turn().await.expect("free again");
        assert!(matches!(listings.turn().await, Err(BrokerError::Overloaded)));
        assert_eq!(began.elapsed(), PATIENCE);
    }
}
