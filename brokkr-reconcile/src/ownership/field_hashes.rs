//! Compact sets of field paths.

use sha2::{Digest as _, Sha256};

use crate::cluster::FieldSet;

/// A compact set of field paths: the first 32 bits of the SHA-256 of each path, sorted.
///
/// It distinguishes two sets of one object with near certainty, and supports lookups, which is enough to distinguish
/// drift from conflict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldHashes(Vec<u32>);

impl FieldHashes {
    pub(crate) fn of(fields: &FieldSet) -> Self {
        let mut hashes: Vec<u32> = fields.paths().map(hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }

    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.binary_search(&hash(path)).is_ok()
    }

    /// Whether every field of `others` is in the set.
    pub(crate) fn covers(&self, others: &Self) -> bool {
        others.0.iter().all(|hash| self.0.binary_search(hash).is_ok())
    }

    /// Returns the set without one field.
    pub(crate) fn without(&self, path: &str) -> Self {
        let gone = hash(path);
        Self(self.0.iter().copied().filter(|it| *it != gone).collect())
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|hash| hash.to_be_bytes()).collect()
    }

    /// Returns the length of [`to_bytes`](Self::to_bytes).
    pub(crate) fn byte_len(&self) -> usize {
        self.0.len() * 4
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let (chunks, _) = bytes.as_chunks::<4>();
        Self(chunks.iter().map(|chunk| u32::from_be_bytes(*chunk)).collect())
    }
}

fn hash(path: &str) -> u32 {
    let digest: [u8; 32] = Sha256::digest(path).into();
    let [a, b, c, d, ..] = digest;
    u32::from_be_bytes([a, b, c, d])
}
