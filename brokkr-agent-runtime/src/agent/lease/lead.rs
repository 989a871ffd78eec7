//! Leading, as long as it is certain.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use brokkr_reconcile::cluster::Fence;

/// Until when this process leads, by a clock that only goes forward.
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

    /// A fence that lets writes through while this process leads.
    pub(super) fn fence(self: &Arc<Self>) -> Fence {
        let lead = self.clone();
        Fence::new(move || lead.holds())
    }
}
