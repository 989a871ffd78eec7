//! What stacks are judged by beside the cluster itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::context::contention::Contention;
use crate::context::settling::Settling;
use crate::ownership::claims::Claims;

/// Which stack owns which object, which objects others change again and again, and which Namespaces are about to be empty.
///
/// Passes share one; a plan has one of its own.
#[derive(Debug, Default)]
pub(crate) struct Bookkeeping {
    claims: Mutex<Claims>,
    contention: Mutex<Contention>,
    pub(crate) settling: Settling,
}

impl Bookkeeping {
    pub(crate) fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn contention(&self) -> MutexGuard<'_, Contention> {
        self.contention.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
