//! What a request with a body holds until it ends: memory for the body, and the turn to parse it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brokkr_control::{BrokerError, Part, Share, Shares, Turn};
use brokkr_core::model::{ActorRef, limits};
use tokio::sync::Mutex;

/// How long a request waits for memory.
const PATIENCE: Duration = Duration::from_secs(5);
/// Memory is acquired in steps of this size as the body arrives, so that a client that sends nothing holds little.
const STEP: usize = 64 * 1024;

/// The budget of a server for all bodies in memory.
#[derive(Debug, Clone)]
pub(crate) struct BodyBudget(Arc<Shares>);

impl BodyBudget {
    /// A budget of `bytes`, but never less than two bodies of the largest size, so that every body fits in half of it.
    pub(crate) fn of(bytes: usize) -> Self {
        // A slow client can hold its share for long, so no actor gets more than half.
        Self(Shares::new(bytes.max(2 * limits::BODY_BYTES), Part::Half, PATIENCE))
    }

    /// Starts counting for a request.
    pub(super) fn request(&self) -> Arc<InFlight> {
        Arc::new(InFlight { budget: self.0.clone(), turn: Arc::default(), held: Mutex::default() })
    }
}

/// What one request holds.
pub(crate) struct InFlight {
    budget: Arc<Shares>,
    turn: Arc<Turn>,
    held: Mutex<Option<Share>>,
}

impl InFlight {
    /// The request's turn to parse.
    pub(super) fn turn(&self) -> Arc<Turn> {
        self.turn.clone()
    }

    /// Holds memory for `bytes` of the body that have arrived. `expected` is the size that the client announced.
    pub(super) async fn hold(&self, actor: ActorRef, bytes: usize, expected: Option<usize>) -> Result<(), BrokerError> {
        let mut held = self.held.lock().await;
        let has = held.as_ref().map_or(0, Share::amount);
        if bytes <= has {
            return Ok(());
        }
        let missing = (bytes - has).max(STEP);
        // The rest of a small body, rather than a whole step.
        let missing = expected.filter(|expected| *expected >= bytes).map_or(missing, |it| missing.min(it - has));
        match &mut *held {
            Some(share) => share.grow(missing).await,
            none => {
                *none = Some(self.budget.acquire(actor, missing).await?);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_is_held_in_steps() {
        let budget = BodyBudget::of(0);
        for (arrived, expected, held) in [
            (&[1][..], Some(10), 10),
            (&[10], Some(10), 10),
            (&[1], Some(STEP + 1), STEP),
            (&[1, STEP, STEP + 1], Some(STEP + 1), STEP + 1),
            (&[1], None, STEP),
            (&[1, STEP + 1], None, 2 * STEP),
            (&[3 * STEP], None, 3 * STEP),
            (&[limits::BODY_BYTES], Some(limits::BODY_BYTES), limits::BODY_BYTES),
        ] {
            let request = budget.request();
            for bytes in arrived {
                request.hold(ActorRef::System, *bytes, expected).await.unwrap();
            }
            assert_eq!(request.held.lock().await.as_ref().map(Share::amount), Some(held), "{arrived:?} {expected:?}");
        }
        let (first, second) = (budget.request(), budget.request());
        first.hold(ActorRef::System, limits::BODY_BYTES, None).await.unwrap();
        assert!(second.hold(ActorRef::System, 1, Some(1)).await.is_err(), "more than half");
        second.hold(ActorRef::Anonymous, limits::BODY_BYTES, None).await.unwrap();
        assert!(budget.request().hold(ActorRef::Anonymous, 1, Some(1)).await.is_err(), "everything is held");
        drop(first);
        assert!(budget.request().hold(ActorRef::System, 1, Some(1)).await.is_ok());
    }
}
