//! Limits of the rate at which one principal changes something.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brokkr_control::Actor;
use brokkr_core::model::{ActorRef, limits};
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::problem::Problem;
use crate::api::ProblemType;

/// Requests after which principals that have been idle are forgotten.
const CLEAN_INTERVAL: u32 = 10_000;

/// Counts the writes of each principal: an agent, a generator or an admin key. All keys of one principal count together.
#[derive(Debug)]
pub(crate) struct Rates {
    clock: DefaultClock,
    writes: RateLimiter<ActorRef, HashMapStateStore<ActorRef>, DefaultClock>,
    counted: AtomicU32,
}

impl Rates {
    /// Allows `per_second` writes of one principal, and [`limits::WRITE_BURST`] times as many at once.
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(limits::WRITE_BURST).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(per_second).allow_burst(per_second.saturating_mul(burst));
        Self { clock: DefaultClock::default(), writes: RateLimiter::hashmap(quota), counted: AtomicU32::new(0) }
    }

    /// Counts a write, or refuses it until the rate allows it.
    pub(super) fn count(&self, actor: &Actor) -> Result<(), Problem> {
        if self.counted.fetch_add(1, Ordering::Relaxed) % CLEAN_INTERVAL == CLEAN_INTERVAL - 1 {
            self.writes.retain_recent();
        }
        self.writes.check_key(&actor.principal()).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            // Retry-After has whole seconds, and earlier is refused again.
            let wait = Duration::from_secs(wait.as_secs() + 1);
            Problem::new(ProblemType::RateLimited).retry_after(wait)
        })
    }
}
