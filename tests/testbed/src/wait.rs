//! Waits with a time limit.

use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Calls `ready` until it returns true. Blocks the thread.
///
/// # Errors
///
/// The time `within` elapsed. `what` names the subject in the error text.
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
