//! Leases, for work that one broker does at a time; and how long things are kept.

use std::time::Duration;

/// The right to do some work, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Rises with every new holder: what was begun under a lower one is void.
    pub fencing: u64,
    /// How long it is valid, counted from the call that took it on the caller's monotonic clock.
    pub valid_for: Duration,
}

/// How long what grows is kept; `None` is for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Agent events.
    pub events: Option<Duration>,
    /// Audit records.
    pub audit: Option<Duration>,
    /// Changes: how far behind a subscriber may fall.
    pub changes: Option<Duration>,
}
