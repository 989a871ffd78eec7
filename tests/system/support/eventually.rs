//! Waiting for what must become so, and watching what must stay so. Both bounded.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Looks again until it is so, and returns what was seen then; fails with what was seen last after a minute.
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
        assert!(Instant::now() < deadline, "not within {} s: {what}; seen last: {seen:#?}", within.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Looks all the time: it must be so at every look, for as long as this.
pub(crate) async fn stays<T: Debug, F: Future<Output = Result<(), T>>>(
    during: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) {
    let end = Instant::now() + during;
    while Instant::now() < end {
        if let Err(seen) = look().await {
            panic!("it did not stay so: {what}; seen: {seen:#?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
