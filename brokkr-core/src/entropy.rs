//! An injected source of ids and secrets, so that a whole system can be replayed from a seed.

use std::fmt::Debug;
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::into_shared::into_shared;
use crate::model::Timestamp;

/// The source of ids and of the secrets of API keys for the broker.
///
/// # To ensure correctness
///
/// 1. `uuid` never returns an id twice, in this process or another one.
/// 2. `fill` writes bytes that are cryptographically unpredictable.
/// 3. No method blocks.
pub trait Entropy: Debug + Send + Sync + 'static {
    /// Generates a new id: a UUID version 7 (RFC 9562), so that ids sort by the time `at` which they are generated.
    fn uuid(&self, at: Timestamp) -> Uuid;

    /// Fills a buffer with random bytes.
    ///
    /// # Errors
    ///
    /// [`NoEntropy`] when the source has no random bytes. The caller must then not create a secret.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The source has no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system returned no random bytes")]
pub struct NoEntropy;

into_shared! {
    /// Conversion into a shared [`Entropy`]. Implemented for every `Entropy`, for `Arc<T>` of one, and for `Arc<dyn
    /// Entropy>`.
    IntoEntropy::into_entropy => Entropy
}

/// The operating system's random bytes, and its time for ids. The broker's default.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn uuid(&self, _: Timestamp) -> Uuid {
        Uuid::now_v7()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        getrandom::fill(bytes).map_err(|_| NoEntropy)
    }
}

/// A source that returns the same bytes for the same seed, for tests and simulations. Anyone who knows the seed knows
/// every secret.
///
/// ```
/// use brokkr_core::clock::{Clock as _, SystemClock};
/// use brokkr_core::entropy::{Entropy as _, SeededEntropy};
///
/// let at = SystemClock.now();
/// assert_eq!(SeededEntropy::new(7).uuid(at), SeededEntropy::new(7).uuid(at));
/// ```
#[derive(Debug)]
pub struct SeededEntropy(Mutex<(u64, u64)>);

impl SeededEntropy {
    /// Starts the sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new((seed, 0)))
    }

    fn block(&self) -> [u8; 32] {
        let mut state = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        state.1 += 1;
        Sha256::new().chain_update(state.0.to_be_bytes()).chain_update(state.1.to_be_bytes()).finalize().into()
    }
}

impl Entropy for SeededEntropy {
    fn uuid(&self, at: Timestamp) -> Uuid {
        let micros = u64::try_from(at.as_micros()).unwrap_or(0);
        let mut random = [0; 10];
        random.copy_from_slice(&self.block()[..10]);
        uuid::Builder::from_unix_timestamp_millis(micros / 1_000, &random).into_uuid()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        for part in bytes.chunks_mut(32) {
            part.copy_from_slice(&self.block()[..part.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_sequences() {
        let at = Timestamp::new(jiff::Timestamp::from_microsecond(1_700_000_000_123_456).expect("in range"));
        let sequence = |seed| {
            let entropy = SeededEntropy::new(seed);
            let mut bytes = [0; 70];
            entropy.fill(&mut bytes).expect("bytes");
            (entropy.uuid(at), entropy.uuid(at), bytes)
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
        let (one, other, _) = sequence(1);
        assert_ne!(one, other);
        assert_eq!((one.get_version_num(), one.get_timestamp().map(|it| it.to_unix().0)), (7, Some(1_700_000_000)));
    }
}
