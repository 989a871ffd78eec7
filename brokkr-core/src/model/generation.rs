//! Generations of views and target states.

use serde::{Deserialize, Serialize};

/// The number of commits that a view has seen, comparable between all brokers on the same data.
///
/// It never decreases while a view advances. A view with a higher generation contains everything that a view with a
/// lower one contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = u64))]
pub struct Generation(u64);

impl Generation {
    /// Creates a generation from a number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}
