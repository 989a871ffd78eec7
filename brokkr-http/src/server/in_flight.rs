//! What a request with a body holds until it ends: memory for the body, and the turn to parse it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brokkr_control::{BrokerError, Part, Share, Shares, Turn};
use brokkr_core::model::{ActorRef, limits};
use tokio::sync::OnceCell;

/// How long a request waits for memory.
const PATIENCE: Duration = Duration::from_secs(5);

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
        Arc::new(InFlight { budget: self.0.clone(), turn: Arc::default(), held: OnceCell::new() })
    }
}

/// What one request holds.
pub(crate) struct InFlight {
    budget: Arc<Shares>,
    turn: Arc<Turn>,
    held: OnceCell<Share>,
}

impl InFlight {
    /// The request's turn to parse.
    pub(super) fn turn(&self) -> Arc<Turn> {
        self.turn.clone()
    }

    /// Holds memory for a body of `bytes`, until the request ends. The whole size at once: bodies that wait for each other's
    /// memory would never end.
    pub(super) async fn hold(&self, actor: ActorRef, bytes: usize) -> Result<(), BrokerError> {
        self.held.get_or_try_init(|| self.budget.acquire(actor, bytes)).await.map(drop)
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
    async fn memory_is_shared_and_freed_with_the_request() {
        let budget = BodyBudget::of(0);
        let (first, second) = (budget.request(), budget.request());
        first.hold(ActorRef::System, limits::BODY_BYTES).await.unwrap();
        first.hold(ActorRef::System, limits::BODY_BYTES).await.unwrap();
        assert!(second.hold(ActorRef::System, 1).await.is_err(), "more than half");
        second.hold(ActorRef::Anonymous, limits::BODY_BYTES).await.unwrap();
        assert!(budget.request().hold(ActorRef::Anonymous, 1).await.is_err(), "everything is held");
        drop(first);
        assert!(budget.request().hold(ActorRef::System, limits::BODY_BYTES).await.is_ok());
    }
}
