//! How far the record has been read.

use serde::{Deserialize, Serialize};

/// How far a view has read, as a number that is totally ordered over all replicas.
///
/// It never falls as a view moves on, and a view with a higher one contains everything that one with a lower
/// one does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = u64))]
pub struct Generation(u64);

impl Generation {
    /// From a number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}
