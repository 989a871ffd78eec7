//! Backoff between attempts.

use std::time::Duration;

/// Returns the pause after a number of failures in a row: exponential, capped, then randomized over its upper half.
///
/// The jitter comes after the cap, so that agents that fail together do not retry together.
pub(super) fn pause(failures: u32, first: Duration, max: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(20));
    first.saturating_mul(factor).min(max).mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Returns the pause like [`pause`], but respects a longer pause that the server requested (RFC 9110, section 10.2.3), up
/// to the cap. Adds some jitter, because the server requested the same pause from other agents.
pub(super) fn asked_pause(asked: Option<Duration>, failures: u32, first: Duration, max: Duration) -> Duration {
    let asked = asked.map(|asked| asked.min(max) + first.mul_f64(fastrand::f64()));
    pause(failures, first, max).max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_with_jitter() {
        let (first, max) = (Duration::from_secs(1), Duration::from_secs(30));
        let at = |failures| (0..100).map(|_| pause(failures, first, max)).collect::<Vec<_>>();
        assert!(at(1).iter().all(|it| (500..=1_000).contains(&it.as_millis())));
        assert!(at(40).iter().all(|it| (15_000..=30_000).contains(&it.as_millis())));
        let spread = at(40);
        assert!(spread.iter().any(|it| it != spread.first().unwrap_or(it)));
    }

    #[test]
    fn requested_pause_is_kept_within_the_cap() {
        let (first, max) = (Duration::from_secs(1), Duration::from_secs(30));
        let asked = |seconds| asked_pause(Some(Duration::from_secs(seconds)), 1, first, max).as_secs_f64();
        assert!((7.0..8.0).contains(&asked(7)) && (30.0..31.0).contains(&asked(3_600)));
        assert!((0..100).any(|_| asked(7) != asked(7)), "requested pauses have jitter");
        assert!(asked(0) >= 0.5 && asked_pause(None, 1, first, max) >= Duration::from_millis(500));
    }
}
