//! The keys that wait for a controller's decision.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use brokkr_core::model::Timestamp;

/// Maximum keys that wait for a decision now. A full look finds the others later.
pub(super) const QUEUED: usize = 10_000;
/// Maximum keys that wait for a time. A full look finds the others again.
pub(super) const SLEEPING: usize = 100_000;
/// Delay after the first failure of a key, which doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Maximum delay after failures.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The keys that wait: for their turn, or for a time. A key waits at most once for each.
#[derive(Debug)]
pub(super) struct Queue<K> {
    waiting: VecDeque<(K, Timestamp)>,
    queued: BTreeSet<K>,
    wakes: BTreeSet<(Timestamp, K)>,
    sleeping: BTreeMap<K, Timestamp>,
    /// Keys whose last run failed, with the number of failures in a row and the time of the next try.
    failing: BTreeMap<K, (u32, Timestamp)>,
    /// The last key of a full look that did not fit completely.
    looked_up_to: Option<K>,
}

impl<K: Ord + Clone> Queue<K> {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            queued: BTreeSet::new(),
            wakes: BTreeSet::new(),
            sleeping: BTreeMap::new(),
            failing: BTreeMap::new(),
            looked_up_to: None,
        }
    }

    /// Queues a key, unless it waits for its next try. Returns whether there was room.
    pub(super) fn push(&mut self, key: K, now: Timestamp) -> bool {
        if self.queued.contains(&key) || self.failing.get(&key).is_some_and(|(_, next)| *next > now) {
            return true;
        }
        if self.queued.len() >= QUEUED {
            return false;
        }
        self.queued.insert(key.clone());
        self.waiting.push_back((key, now));
        true
    }

    /// Queues the keys of a full look. Returns whether all of them had room; otherwise look again soon: the next look
    /// continues after the last key that had.
    pub(super) fn look(&mut self, keys: BTreeSet<K>, now: Timestamp) -> bool {
        // Keys in a row, so that each gets its turn in one of several looks.
        let after = self.looked_up_to.take();
        let (before, rest): (Vec<K>, Vec<K>) = keys.into_iter().partition(|key| Some(key) <= after.as_ref());
        let mut last = after;
        for key in rest.into_iter().chain(before) {
            if !self.push(key.clone(), now) {
                self.looked_up_to = last;
                return false;
            }
            last = Some(key);
        }
        true
    }

    /// Queues the keys whose time has come.
    pub(super) fn wake(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.wakes.first().cloned()
            && at <= now
            && self.push(key.clone(), now)
        {
            self.wakes.remove(&(at, key.clone()));
            self.sleeping.remove(&key);
        }
    }

    /// The next key, and since when it waits.
    pub(super) fn pop(&mut self) -> Option<(K, Timestamp)> {
        let (key, since) = self.waiting.pop_front()?;
        self.queued.remove(&key);
        Some((key, since))
    }

    /// Returns a key that had its turn too early to the front.
    pub(super) fn put_back(&mut self, key: K, since: Timestamp) {
        if self.queued.insert(key.clone()) {
            self.waiting.push_front((key, since));
        }
    }

    /// Notes a successful run and the key's next wake-up.
    pub(super) fn done(&mut self, key: K, wake_at: Option<Timestamp>) {
        self.failing.remove(&key);
        self.sleep(key, wake_at);
    }

    /// Notes a failed run. Returns the time of the next try.
    pub(super) fn failed(&mut self, key: K, now: Timestamp) -> Timestamp {
        let failures = self.failing.get(&key).map_or(0, |(failures, _)| *failures);
        let delay = FIRST_DELAY.saturating_mul(1 << failures.min(6)).min(MAX_DELAY);
        let next = now.plus(delay);
        if self.failing.len() < QUEUED || self.failing.contains_key(&key) {
            self.failing.insert(key.clone(), (failures + 1, next));
        }
        self.sleep(key, Some(next));
        next
    }

    fn sleep(&mut self, key: K, wake_at: Option<Timestamp>) {
        if let Some(before) = self.sleeping.remove(&key) {
            self.wakes.remove(&(before, key.clone()));
        }
        let Some(at) = wake_at else { return };
        self.wakes.insert((at, key.clone()));
        self.sleeping.insert(key, at);
        if self.sleeping.len() > SLEEPING
            && let Some((_, last)) = self.wakes.pop_last()
        {
            self.sleeping.remove(&last);
        }
    }

    /// The earliest wake-up.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// The number of keys that wait for their turn.
    pub(super) fn len(&self) -> usize {
        self.queued.len()
    }

    /// Since when the oldest key waits for its turn.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.waiting.front().map(|(_, since)| *since)
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};

    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn drain(queue: &mut Queue<usize>) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop().map(|(key, _)| key)).collect()
    }

    #[test]
    fn key_waits_once_and_in_order() {
        let (mut queue, now) = (Queue::new(), SystemClock.now());
        for key in [3, 1, 3, 2, 1] {
            assert!(queue.push(key, now));
        }
        assert_eq!(drain(&mut queue), [3, 1, 2]);
        assert!(queue.push(3, now), "a key can be queued again after its turn");
    }

    #[test]
    fn looks_reach_every_key_although_the_queue_is_bounded() {
        let (mut queue, now) = (Queue::new(), SystemClock.now());
        let all: BTreeSet<usize> = (0..2 * QUEUED + 500).collect();
        let mut seen = BTreeSet::new();
        for look in 0..3 {
            assert!(!queue.look(all.clone(), now), "look {look}");
            assert_eq!(queue.len(), QUEUED);
            seen.extend(drain(&mut queue));
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn sleeping_keys_wake_at_their_last_time() {
        let (mut queue, now) = (Queue::new(), SystemClock.now());
        queue.done(1, Some(now.plus(seconds(10))));
        queue.done(2, Some(now.plus(seconds(5))));
        queue.done(1, Some(now.plus(seconds(20))));
        queue.done(3, Some(now.plus(seconds(5))));
        queue.done(3, None);
        for (after, expected) in [(4, &[][..]), (5, &[2]), (19, &[]), (20, &[1]), (60, &[])] {
            queue.wake(now.plus(seconds(after)));
            assert_eq!(drain(&mut queue), expected, "after {after} s");
        }
        assert_eq!(queue.next_wake(), None);
    }

    #[test]
    fn failing_key_waits_longer_each_time_whatever_wakes_it() {
        let (mut queue, mut now) = (Queue::new(), SystemClock.now());
        for delay in [1, 2, 4, 8, 16, 32, 60, 60] {
            let next = queue.failed(7, now);
            assert_eq!(next.since(now), seconds(delay));
            assert!(queue.push(7, now) && queue.len() == 0, "it waits for its next try");
            now = next;
            queue.wake(now);
            assert_eq!(drain(&mut queue), [7]);
        }
        queue.done(7, None);
        assert!(queue.push(7, now));
        assert_eq!(drain(&mut queue), [7]);
        assert_eq!(queue.failed(7, now).since(now), seconds(1), "a success ends the row of failures");
    }
}
