//! A budget that actors share fairly.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::model::ActorRef;
use tokio::sync::oneshot;

use crate::error::BrokerError;

/// A budget, such as bytes in memory, that actors share.
///
/// Waiting requests are served in their order, except that those of an actor above its part wait for the others, and that the
/// [`Part`] decides whether smaller ones pass those that do not fit. The queue and the wait are bounded: beyond them a request fails
/// with [`BrokerError::Overloaded`].
///
/// ```
/// use std::time::Duration;
///
/// use brokkr_control::{Part, Shares};
/// use brokkr_core::model::ActorRef;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let budget = Shares::new(1024, Part::HalfIfOthersWait, Duration::from_secs(1));
/// let share = budget.acquire(ActorRef::System, 1000).await?;
/// assert!(budget.acquire(ActorRef::System, 100).await.is_err());
/// drop(share);
/// assert!(budget.acquire(ActorRef::System, 100).await.is_ok());
/// # Ok::<_, brokkr_control::BrokerError>(()) }).unwrap();
/// ```
pub struct Shares {
    total: usize,
    part: Part,
    patience: Duration,
    /// Requests that can wait.
    queue: usize,
    state: Mutex<State>,
}

/// How much of a budget one actor can hold, but in any case one share of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Never more than a quarter. For budgets that a slow client can hold for long: a request that does not fit lets smaller ones of
    /// other actors pass.
    Quarter,
    /// Never more than half. Otherwise like `Quarter`.
    Half,
    /// Everything, but more than half only while no other actor waits. For work that ends by itself: nobody passes a request that does
    /// not fit, because room for it comes soon.
    HalfIfOthersWait,
}

impl Part {
    /// What one actor gets of something.
    fn of(self, all: usize) -> usize {
        match self {
            Self::Quarter => all / 4,
            Self::Half | Self::HalfIfOthersWait => all / 2,
        }
    }

    fn lets_pass(self) -> bool {
        self != Self::HalfIfOthersWait
    }
}

/// Requests that can wait for a budget, unless it says otherwise.
const QUEUE: usize = 256;

#[derive(Default)]
struct State {
    held: usize,
    of: HashMap<ActorRef, usize>,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    actor: ActorRef,
    amount: usize,
    ready: oneshot::Sender<Share>,
}

/// A part of a budget that one request holds until this is dropped.
#[derive(Debug)]
pub struct Share {
    of: Arc<Shares>,
    actor: ActorRef,
    amount: usize,
}

impl Shares {
    /// Creates a budget. At most 256 requests wait, each for at most `patience`.
    pub fn new(total: usize, part: Part, patience: Duration) -> Arc<Self> {
        Self::with_queue(total, part, patience, QUEUE)
    }

    /// Creates a budget for which at most `queue` requests wait; of one actor, its part of them.
    pub(crate) fn with_queue(total: usize, part: Part, patience: Duration, queue: usize) -> Arc<Self> {
        Arc::new(Self { total, part, patience, queue, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a share of this size, at most the whole budget.
    ///
    /// Cancellation safe: a request that is dropped leaves the queue.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Overloaded`] if the queue is full or the budget is not available in time.
    pub async fn acquire(self: &Arc<Self>, actor: ActorRef, amount: usize) -> Result<Share, BrokerError> {
        let amount = amount.min(self.total);
        let waiting = {
            let mut state = self.state();
            if state.waiting.is_empty() && self.fits(&state, actor, amount, false) {
                return Ok(self.grant(&mut state, actor, amount));
            }
            state.waiting.retain(|waiter| !waiter.ready.is_closed());
            let own = state.waiting.iter().filter(|waiter| waiter.actor == actor).count();
            // Nobody who waits fits now. Whoever passes them needs no place in the queue, which they may have filled.
            if own == 0 && self.part.lets_pass() && self.fits(&state, actor, amount, true) {
                return Ok(self.grant(&mut state, actor, amount));
            }
            if state.waiting.len() == self.queue || own == self.part.of(self.queue) {
                return Err(BrokerError::Overloaded);
            }
            let (ready, waiting) = oneshot::channel();
            state.waiting.push_back(Waiter { actor, amount, ready });
            waiting
        };
        self.serve();
        match tokio::time::timeout(self.patience, waiting).await {
            Ok(Ok(share)) => Ok(share),
            _ => Err(BrokerError::Overloaded),
        }
    }

    /// Whether a share can be granted now.
    fn fits(&self, state: &State, actor: ActorRef, amount: usize, others_wait: bool) -> bool {
        self.is_entitled(state, actor, amount, others_wait) && state.held + amount <= self.total
    }

    /// Whether the share is within the actor's part. An actor that holds nothing always is.
    fn is_entitled(&self, state: &State, actor: ActorRef, amount: usize, others_wait: bool) -> bool {
        let held = state.of.get(&actor).copied().unwrap_or_default();
        let is_unlimited = self.part == Part::HalfIfOthersWait && !others_wait;
        held == 0 || is_unlimited || held + amount <= self.part.of(self.total)
    }

    fn grant(self: &Arc<Self>, state: &mut State, actor: ActorRef, amount: usize) -> Share {
        state.held += amount;
        *state.of.entry(actor).or_default() += amount;
        Share { of: self.clone(), actor, amount }
    }

    /// Grants what is free to those who wait.
    fn serve(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            state.waiting.retain(|waiter| !waiter.ready.is_closed());
            let Some(next) = self.next(&state).and_then(|at| state.waiting.remove(at)) else {
                return;
            };
            let share = self.grant(&mut state, next.actor, next.amount);
            drop(state);
            // If the request was dropped meanwhile, so is the share, and the next iteration grants it to another one.
            let _ = next.ready.send(share);
        }
    }

    /// The first of those who wait that is within its part, if the budget has room for it. If not, the first of another actor that
    /// may pass.
    fn next(&self, state: &State) -> Option<usize> {
        let first = state.waiting.front()?.actor;
        let several = state.waiting.iter().any(|waiter| waiter.actor != first);
        let entitled = |waiter: &Waiter| self.is_entitled(state, waiter.actor, waiter.amount, several);
        let has_room = |waiter: &Waiter| state.held + waiter.amount <= self.total;
        if !self.part.lets_pass() {
            let at = state.waiting.iter().position(entitled)?;
            return state.waiting.get(at).is_some_and(has_room).then_some(at);
        }
        // Requests of one actor keep their order.
        let mut seen = HashSet::new();
        state.waiting.iter().position(|waiter| seen.insert(waiter.actor) && entitled(waiter) && has_room(waiter))
    }

    /// What all shares hold.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.state().held
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares").field("total", &self.total).field("part", &self.part).finish_non_exhaustive()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.amount == 0 {
            return;
        }
        {
            let mut state = self.of.state();
            state.held = state.held.saturating_sub(self.amount);
            if let Some(held) = state.of.get_mut(&self.actor) {
                *held = held.saturating_sub(self.amount);
                if *held == 0 {
                    state.of.remove(&self.actor);
                }
            }
        }
        self.of.serve();
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::model::KeyId;
    use futures::FutureExt as _;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn actor(n: u128) -> ActorRef {
        ActorRef::Admin { key_id: KeyId::from(uuid::Uuid::from_u128(n)) }
    }

    #[tokio::test(start_paused = true)]
    async fn part_of_an_actor_depends_on_the_kind_of_budget() {
        for (part, held, amount, granted) in [
            (Part::Quarter, 0, 10, true),
            (Part::Quarter, 1, 1, true),
            (Part::Quarter, 1, 2, false),
            (Part::Half, 0, 10, true),
            (Part::Half, 0, 1000, true),
            (Part::Half, 3, 2, true),
            (Part::Half, 3, 3, false),
            (Part::HalfIfOthersWait, 3, 3, true),
            (Part::HalfIfOthersWait, 9, 1, true),
            (Part::HalfIfOthersWait, 9, 2, false),
        ] {
            let budget = Shares::new(10, part, PATIENCE);
            let first = budget.acquire(actor(1), held).await.expect("free");
            let second = budget.acquire(actor(1), amount).await;
            assert_eq!(second.is_ok(), granted, "{part:?} {held} {amount}");
            let expected = held + if granted { amount.min(10) } else { 0 };
            assert_eq!(budget.held(), expected);
            drop((first, second));
            assert_eq!(budget.held(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn others_go_first_while_one_holds_its_half() {
        let budget = Shares::new(10, Part::HalfIfOthersWait, PATIENCE);
        let all = budget.acquire(actor(1), 10).await.expect("nobody waits");
        let mut own: Vec<_> = (0..3).map(|_| Box::pin(budget.acquire(actor(1), 5))).collect();
        assert!(own.iter_mut().all(|it| it.now_or_never().is_none()));
        let mut others = Box::pin(budget.acquire(actor(2), 5));
        assert!((&mut others).now_or_never().is_none());
        drop(all);
        let first = own.remove(0).now_or_never().expect("within its half").expect("granted");
        let other = others.now_or_never().expect("before the rest of the first").expect("granted");
        assert!(own[0].as_mut().now_or_never().is_none(), "the budget is empty");
        drop(other);
        let second = own.remove(0).now_or_never().expect("nobody else waits").expect("granted");
        assert_eq!(budget.held(), 10);
        drop((first, second, own));
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn queue_and_wait_are_bounded() {
        let budget = Shares::new(10, Part::Half, PATIENCE);
        let _share = budget.acquire(actor(1), 5).await.expect("free");
        let began = tokio::time::Instant::now();
        assert!(matches!(budget.acquire(actor(1), 1).await, Err(BrokerError::Overloaded)));
        assert_eq!(began.elapsed(), PATIENCE);
        let mut waiting: Vec<_> = (0..QUEUE / 2).map(|_| Box::pin(budget.acquire(actor(1), 5))).collect();
        assert!(waiting.iter_mut().all(|it| it.now_or_never().is_none()));
        assert!(budget.acquire(actor(1), 5).now_or_never().is_some_and(|it| it.is_err()), "the actor's queue is full");
        assert!(budget.acquire(actor(2), 5).await.is_ok(), "others do not wait for it");
        drop(waiting);
        assert!(budget.acquire(actor(1), 5).now_or_never().is_none(), "those who left are no longer in the queue");
    }

    #[tokio::test(start_paused = true)]
    async fn smaller_requests_of_others_pass_one_that_does_not_fit() {
        for (part, passes) in [(Part::Quarter, true), (Part::Half, true), (Part::HalfIfOthersWait, false)] {
            let budget = Shares::with_queue(10, part, PATIENCE, 8);
            let first = budget.acquire(actor(1), 8).await.expect("free");
            let mut large = Box::pin(budget.acquire(actor(2), 5));
            assert!((&mut large).now_or_never().is_none(), "{part:?}");
            let mut behind = Box::pin(budget.acquire(actor(2), 1));
            assert!((&mut behind).now_or_never().is_none(), "{part:?}: an actor's requests keep their order");
            let small = budget.acquire(actor(3), 1).await;
            assert_eq!(small.is_ok(), passes, "{part:?}");
            drop(first);
            assert!(budget.acquire(actor(4), 1).await.is_ok(), "{part:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn full_queue_keeps_nobody_out_who_fits() {
        let budget = Shares::with_queue(16, Part::Quarter, PATIENCE, 8);
        let _held =
            (budget.acquire(actor(1), 4).await.expect("free"), budget.acquire(actor(2), 8).await.expect("free"));
        let mut waiting = Vec::new();
        for n in 3..7 {
            for _ in 0..2 {
                waiting.push(Box::pin(budget.acquire(actor(n), 5)));
            }
        }
        assert!(waiting.iter_mut().all(|it| it.now_or_never().is_none()));
        assert!(budget.acquire(actor(7), 5).now_or_never().is_some_and(|it| it.is_err()), "the queue is full");
        assert!(budget.acquire(actor(8), 4).await.is_ok(), "it fits");
    }
}
