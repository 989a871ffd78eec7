//! The caller's name for one attempt.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use brokkr_core::model::Digest;
use sha2::{Digest as _, Sha256};

/// The caller's name for one attempt to do something, and what that was.
///
/// See the IETF draft "The Idempotency-Key HTTP Header Field". The name belongs to the caller's key: others may use the same
/// one. It is remembered for [`IDEMPOTENCY_HOURS`](brokkr_core::model::limits::IDEMPOTENCY_HOURS).
#[derive(Debug)]
pub struct Idempotency {
    pub(crate) key: String,
    content: Mutex<Sha256>,
    pub(crate) replayed: AtomicBool,
}

impl Idempotency {
    /// For a request with this key; what the request says is added by [`add`](Self::add).
    pub fn new(key: String) -> Self {
        Self { key, content: Mutex::default(), replayed: AtomicBool::new(false) }
    }

    /// Adds a part of the request. All of it is to be added before the operation is called.
    pub fn add(&self, part: &[u8]) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.update(part);
    }

    /// Whether the answer is that of an earlier request.
    pub fn was_replayed(&self) -> bool {
        self.replayed.load(Ordering::Relaxed)
    }

    pub(crate) fn fingerprint(&self) -> Digest {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        Digest::from_bytes(content.clone().finalize().into())
    }
}
