//! How often a controller may act.

use std::time::Duration;

use brokkr_core::model::Timestamp;

/// A limit of a controller's plans with commands. Plans without commands are not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    per_minute: u32,
}

impl Pace {
    /// At most this number of plans in any minute, at least 1. They are spread: at most a tenth of them comes at once, and
    /// none directly after a change of the holder.
    pub const fn per_minute(plans: u32) -> Self {
        Self { per_minute: if plans == 0 { 1 } else { plans } }
    }

    fn burst(self) -> u32 {
        (self.per_minute / 10).max(1)
    }

    /// The time per plan: so that a burst and a minute of steady plans together stay within the limit.
    fn interval(self) -> Duration {
        Duration::from_secs(60) / (self.per_minute - self.burst()).max(1)
    }
}

/// Keeps a pace, by the generic cell rate algorithm.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    /// The time at which all plans so far would have come one by one.
    due: Timestamp,
}

impl Pacer {
    /// Begins without a burst: the former holder may just have used it.
    pub(super) fn new(pace: Pace, now: Timestamp) -> Self {
        Self { pace, due: now.plus(pace.interval() * (pace.burst() - 1)) }
    }

    /// The time of the next plan.
    pub(super) fn next(&self) -> Timestamp {
        self.due.minus(self.pace.interval() * (self.pace.burst() - 1))
    }

    /// Counts a plan.
    pub(super) fn take(&mut self, now: Timestamp) {
        self.due = self.due.max(now).plus(self.pace.interval());
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};

    use super::*;

    #[test]
    fn any_minute_has_at_most_the_number_of_plans() {
        for per_minute in [1, 5, 10, 100, 600] {
            let start = SystemClock.now();
            let mut plans = Vec::new();
            // Idle for a while, then always work to do; the holder changes at times.
            for holder in 0..5 {
                let begin = start.plus(Duration::from_secs(holder * 90));
                let mut pacer = Pacer::new(Pace::per_minute(per_minute), begin);
                let mut now = begin.plus(Duration::from_secs(if holder == 2 { 60 } else { 0 }));
                while now < begin.plus(Duration::from_secs(90)) {
                    if pacer.next() <= now {
                        pacer.take(now);
                        plans.push(now);
                    }
                    now = now.plus(Duration::from_millis(10));
                }
            }
            let minute = Duration::from_secs(60);
            let most = plans.iter().map(|at| plans.iter().filter(|it| **it >= *at && it.since(*at) < minute).count());
            let most = most.max().unwrap_or(0);
            // One plan more than the interval allows fits into a half-open minute.
            assert!(most <= per_minute as usize + 1, "{most} of {per_minute}");
            assert!(plans.len() >= (per_minute * 5) as usize, "{} of {per_minute} a minute", plans.len());
        }
    }
}
