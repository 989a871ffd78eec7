//! What a request with a body holds until it ends: memory for the body, and the turn to parse it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brokkr_control::{BrokerError, Part, Share, Shares, Turn};
use brokkr_core::model::{ActorRef, limits};
use tokio::sync::OnceCell;

/// How long a request waits for memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// The budget of a server for all bodies in memory, in parts that do not wait for each other: those of agents and of others, each for
/// small and for larger bodies.
#[derive(Debug, Clone)]
pub(crate) struct BodyBudget {
    agents: Parts,
    others: Parts,
}

#[derive(Debug, Clone)]
struct Parts {
    small: Arc<Shares>,
    larger: Arc<Shares>,
}

impl Parts {
    fn of(small: usize, larger: usize) -> Self {
        // A slow client can hold its share for long, so no actor gets more than a quarter.
        let shares = |bytes| Shares::new(bytes, Part::Quarter, PATIENCE);
        Self { small: shares(small), larger: shares(larger) }
    }
}

impl BodyBudget {
    /// A budget of `bytes`, but never less than two bodies of the largest size, so that every body fits in its part.
    pub(crate) fn of(bytes: usize) -> Self {
        let bytes = bytes.max(2 * limits::BODY_BYTES);
        let (small, of_agents) = (bytes / 16, bytes / 4);
        Self { agents: Parts::of(small, of_agents), others: Parts::of(small, bytes - 2 * small - of_agents) }
    }

    /// Starts counting for a request.
    pub(super) fn request(&self) -> Arc<InFlight> {
        Arc::new(InFlight { budget: self.clone(), turn: Arc::default(), held: OnceCell::new() })
    }

    /// The part for bodies of this size from this actor.
    fn part(&self, actor: ActorRef, bytes: usize) -> &Arc<Shares> {
        let parts = if matches!(actor, ActorRef::Agent { .. }) { &self.agents } else { &self.others };
        if bytes <= limits::QUICK_BODY_BYTES { &parts.small } else { &parts.larger }
    }
}

/// What one request holds.
pub(crate) struct InFlight {
    budget: BodyBudget,
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
        self.held.get_or_try_init(|| self.budget.part(actor, bytes).acquire(actor, bytes)).await.map(drop)
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

    use brokkr_core::model::{AgentId, KeyId};

    use super::*;

    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;

    fn admin() -> ActorRef {
        ActorRef::Admin { key_id: KeyId::generate() }
    }

    fn agent() -> ActorRef {
        ActorRef::Agent { id: AgentId::generate(), key_id: None }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_shared_and_freed_with_the_request() {
        let budget = BodyBudget::of(0);
        let (one, other) = (admin(), admin());
        let first = budget.request();
        first.hold(one, limits::BODY_BYTES).await.unwrap();
        first.hold(one, limits::BODY_BYTES).await.unwrap();
        assert!(budget.request().hold(one, MIB).await.is_err(), "more than a quarter");
        budget.request().hold(other, 2 * MIB).await.unwrap();
        assert!(budget.request().hold(other, 3 * MIB).await.is_err(), "everything is held");
        drop(first);
        budget.request().hold(one, limits::BODY_BYTES).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_keep_neither_small_ones_nor_agents_out() {
        let budget = BodyBudget::of(limits::BODY_BUDGET_BYTES);
        let mut held = Vec::new();
        for n in 0..6 {
            let request = budget.request();
            // Five keys fill the part, and a sixth waits.
            assert_eq!(request.hold(admin(), limits::BODY_BYTES).await.is_ok(), n < 5, "{n}");
            held.push(request);
        }
        for (actor, bytes) in [(admin(), KIB), (admin(), 64 * KIB), (agent(), KIB), (agent(), limits::REPORT_BYTES)] {
            budget.request().hold(actor, bytes).await.unwrap();
        }
        assert!(budget.request().hold(admin(), 65 * KIB).await.is_err(), "not small");
    }

    #[tokio::test(start_paused = true)]
    async fn one_actor_gets_a_quarter_of_each_part() {
        for (actor, bytes, most) in
            [(admin(), 64 * KIB, 16), (admin(), 2 * MIB, 5), (agent(), 64 * KIB, 16), (agent(), MIB, 4)]
        {
            let budget = BodyBudget::of(limits::BODY_BUDGET_BYTES);
            let requests: Vec<_> = (0..most).map(|_| budget.request()).collect();
            for request in &requests {
                request.hold(actor, bytes).await.unwrap();
            }
            assert!(budget.request().hold(actor, bytes).await.is_err(), "{actor} {bytes}");
        }
    }
}
