//! Idempotency keys of requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use brokkr_core::model::Digest;
use sha2::{Digest as _, Sha256};

/// An idempotency key and the content of its request.
///
/// Follows the IETF draft "The Idempotency-Key HTTP Header Field". Keys are scoped to the actor, so different
/// callers may use equal ones: the actor is the caller's API key, or the generator of
/// [`generator_actor`](crate::Broker::generator_actor). The broker remembers a key for
/// [`IDEMPOTENCY_HOURS`](brokkr_core::model::limits::IDEMPOTENCY_HOURS).
///
/// ```
/// use std::sync::Arc;
///
/// use brokkr_control::{Actor, Idempotency};
///
/// fn repeatable(actor: Actor, key: &str, body: &[u8]) -> Actor {
///     let idempotency = Idempotency::new(key.to_owned());
///     idempotency.add(body);
///     actor.repeating(Arc::new(idempotency))
/// }
/// ```
#[derive(Debug)]
pub struct Idempotency {
    pub(crate) key: String,
    content: Mutex<Sha256>,
    pub(crate) replayed: AtomicBool,
}

impl Idempotency {
    /// Creates an idempotency key without content. Add the request's content with [`add`](Self::add).
    pub fn new(key: String) -> Self {
        Self { key, content: Mutex::default(), replayed: AtomicBool::new(false) }
    }

    /// Adds a part of the request's content. Add all parts before the operation runs: a repeated key with different content
    /// is refused.
    pub fn add(&self, part: &[u8]) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.update(part);
    }

    /// Whether the operation returned the stored response of an earlier request.
    pub fn was_replayed(&self) -> bool {
        self.replayed.load(Ordering::Relaxed)
    }

    pub(crate) fn fingerprint(&self) -> Digest {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        Digest::from_bytes(content.clone().finalize().into())
    }
}
