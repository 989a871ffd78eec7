//! Waits until a condition holds, or checks that it keeps holding. Both have a time limit.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Repeats a check until it returns `Ok`, and returns its value. Fails after a minute with the last error.
pub(crate) async fn eventually<R, T: Debug, F: Future<Output = Result<R, T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> R {
    let within = Duration::from_secs(60);
    let deadline = Instant::now() + within;
    loop {
        let seen = match look().await {
            Ok(seen) => return seen,
            Err(seen) => seen,
        };
        assert!(Instant::now() < deadline, "timeout after {} s: {what}; seen last: {seen:#?}", within.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Repeats a check for this long. Fails if it returns an error once.
pub(crate) async fn stays<T: Debug, F: Future<Output = Result<(), T>>>(
    during: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) {
    let end = Instant::now() + during;
    while Instant::now() < end {
        if let Err(seen) = look().await {
            panic!("condition violated: {what}; seen: {seen:#?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
