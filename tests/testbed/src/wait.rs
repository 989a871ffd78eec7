//! Waiting within a bound.

use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Asks until the answer is yes, within a bound; blocks this thread.
///
/// # Errors
///
/// It was not within that time; `what` names it for people.
pub fn wait_for(what: &str, within: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + within;
    while !ready() {
        if Instant::now() >= deadline {
            return Err(Error::new(format!("{what} is not ready after {} s", within.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
