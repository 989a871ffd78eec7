//! State beside the cluster that decisions depend on.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::context::correction_backoff::CorrectionBackoff;
use crate::context::settling::Settling;
use crate::ownership::claims::Claims;

/// Ownership of objects by stacks, contested objects, and the settling of Namespaces and definitions.
///
/// All passes share one instance; a plan has its own.
#[derive(Debug, Default)]
pub(crate) struct Bookkeeping {
    claims: Mutex<Claims>,
    contention: Mutex<CorrectionBackoff>,
    pub(crate) settling: Settling,
}

impl Bookkeeping {
    pub(crate) fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn contention(&self) -> MutexGuard<'_, CorrectionBackoff> {
        self.contention.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
