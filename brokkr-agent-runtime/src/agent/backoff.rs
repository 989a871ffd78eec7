//! Pauses between tries.

use std::time::Duration;

/// The pause after this many failures in a row: doubled each time, capped, and then spread over its upper half.
///
/// Cap first, then jitter: so many agents that failed together do not stay together.
pub(super) fn pause(failures: u32, first: Duration, max: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(20));
    first.saturating_mul(factor).min(max).mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_differ() {
        let (first, max) = (Duration::from_secs(1), Duration::from_secs(30));
        let at = |failures| (0..100).map(|_| pause(failures, first, max)).collect::<Vec<_>>();
        assert!(at(1).iter().all(|it| (500..=1_000).contains(&it.as_millis())));
        assert!(at(40).iter().all(|it| (15_000..=30_000).contains(&it.as_millis())));
        let spread = at(40);
        assert!(spread.iter().any(|it| it != spread.first().unwrap_or(it)));
    }
}
