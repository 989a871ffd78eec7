//! The time in which this process certainly leads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use brokkr_reconcile::cluster::Fence;

/// The end of the lead, on the monotonic clock.
#[derive(Debug)]
pub(super) struct Lead(Mutex<Instant>);

impl Lead {
    pub(super) fn until(end: Instant) -> Self {
        Self(Mutex::new(end))
    }

    pub(super) fn end(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn extend(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    fn holds(&self) -> bool {
        Instant::now() < self.end()
    }

    /// Returns a fence that is open while this process leads.
    pub(super) fn fence(self: &Arc<Self>) -> Fence {
        let lead = self.clone();
        Fence::new(move || lead.holds())
    }
}
