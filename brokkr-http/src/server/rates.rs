//! Limits of the rate of requests: per key, per owner, and per address for requests without a usable key.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brokkr_control::Actor;
use brokkr_core::model::{ActorRef, limits};
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use metrics::{Counter, counter};

use super::addresses::network;
use super::problem::Problem;
use crate::api::{ExceededLimit, ProblemType};

/// Requests after which callers that have been idle are forgotten.
const CLEAN_INTERVAL: u32 = 10_000;
/// Buckets for addresses. Addresses share them by a hash that no client can predict, so their number is fixed: no address can make
/// the server forget another one, or take its memory.
const ADDRESS_BUCKETS: u64 = 16_384;

/// Requests per second that one server allows. Each caller may send [`limits::RATE_BURST`] seconds' worth at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct PerSecond {
    /// Of one key.
    pub(super) requests: u32,
    /// Of one generator, with all its keys.
    pub(super) owner_requests: u32,
    /// Of one principal, those that change something.
    pub(super) writes: u32,
    /// Of one address, those without a usable key.
    pub(super) unauthenticated: u32,
}

impl Default for PerSecond {
    fn default() -> Self {
        Self {
            requests: limits::REQUESTS_PER_SECOND,
            owner_requests: limits::OWNER_REQUESTS_PER_SECOND,
            writes: limits::WRITES_PER_SECOND,
            unauthenticated: limits::UNAUTHENTICATED_PER_SECOND,
        }
    }
}

/// Counts the requests of each caller.
#[derive(Debug)]
pub(crate) struct Rates {
    keys: Rate<ActorRef>,
    owners: Rate<ActorRef>,
    writes: Rate<ActorRef>,
    addresses: Rate<u64>,
    hasher: RandomState,
    counted: AtomicU32,
}

impl Rates {
    pub(super) fn new(allowed: PerSecond) -> Self {
        Self {
            keys: Rate::new("requests-per-key", allowed.requests),
            owners: Rate::new("requests-per-owner", allowed.owner_requests),
            writes: Rate::new("writes-per-owner", allowed.writes),
            addresses: Rate::new("unauthenticated-requests-per-address", allowed.unauthenticated),
            hasher: RandomState::new(),
            counted: AtomicU32::new(0),
        }
    }

    /// Counts a request, or refuses it until the rates allow it.
    pub(super) fn count(&self, actor: &Actor, is_write: bool) -> Result<(), Problem> {
        if self.counted.fetch_add(1, Ordering::Relaxed) % CLEAN_INTERVAL == CLEAN_INTERVAL - 1 {
            self.keys.forget_idle();
            self.owners.forget_idle();
            self.writes.forget_idle();
        }
        self.keys.count(&actor.reference())?;
        if actor.generator_id().is_some() {
            self.owners.count(&actor.principal())?;
        }
        if is_write { self.writes.count(&actor.principal()) } else { Ok(()) }
    }

    /// Counts a request without a usable key, or refuses it until the rate of its address allows it.
    pub(super) fn count_unauthenticated(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        // Without an address there was no connection: the host itself calls the router.
        let Some(address) = address else { return Ok(()) };
        self.addresses.count(&(self.hasher.hash_one(network(address)) % ADDRESS_BUCKETS))
    }
}

/// One rate, with a bucket for each caller.
#[derive(Debug)]
struct Rate<K: Hash + Eq + Clone> {
    name: &'static str,
    per_second: NonZeroU32,
    clock: DefaultClock,
    buckets: RateLimiter<K, HashMapStateStore<K>, DefaultClock>,
    refused: Counter,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(name: &'static str, per_second: u32) -> Self {
        let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(limits::RATE_BURST).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(per_second).allow_burst(per_second.saturating_mul(burst));
        let refused = counter!(super::meter::REFUSED, "limit" => name);
        Self { name, per_second, clock: DefaultClock::default(), buckets: RateLimiter::hashmap(quota), refused }
    }

    fn count(&self, caller: &K) -> Result<(), Problem> {
        self.buckets.check_key(caller).map_err(|until| {
            self.refused.increment(1);
            let wait = until.wait_time_from(self.clock.now());
            let maximum = u64::from(self.per_second.get());
            let limit = ExceededLimit { name: self.name.to_owned(), maximum, used: None };
            Problem::new(ProblemType::RateLimited)
                .detail(format!(
                    "{}: at most {maximum} per second; retry after the delay in the Retry-After header",
                    self.name
                ))
                .limit(limit)
                // Retry-After has whole seconds, and earlier is refused again.
                .retry_after(Duration::from_secs(wait.as_secs() + 1))
        })
    }

    fn forget_idle(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may panic")]

    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn flood_of_addresses_takes_no_more_memory_and_forgets_nobody() {
        let rates = Rates::new(PerSecond { unauthenticated: 1, ..PerSecond::default() });
        let flooding = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let tries = (0..5 * limits::RATE_BURST).filter(|_| rates.count_unauthenticated(flooding).is_err()).count();
        assert!(tries > 0, "the address has used its burst");
        for network in 0..2 * u128::from(ADDRESS_BUCKETS) {
            let address = Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | (network << 64));
            let _ = rates.count_unauthenticated(Some(IpAddr::V6(address)));
        }
        assert!(rates.addresses.buckets.len() as u64 <= ADDRESS_BUCKETS);
        // Time passes, so some of its burst is back; an address that the server has forgotten had all of it.
        let mut tries = (0..limits::RATE_BURST).map(|_| rates.count_unauthenticated(flooding));
        let problem = tries.find_map(Result::err).unwrap();
        assert_eq!(problem.document().limit.unwrap().name, "unauthenticated-requests-per-address");
        assert!(rates.count_unauthenticated(None).is_ok());
    }
}
