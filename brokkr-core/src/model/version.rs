//! Versions of entities and revisions of stacks.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = u64, minimum = 1, maximum = 9_223_372_036_854_775_807i64))]
        pub struct $name(u64);

        impl $name {
            /// The first value: 1.
            pub const FIRST: Self = Self(1);

            /// Creates a value from a number. 0 means that none exists yet.
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The next value.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// The version of an entity: 1 at creation, plus one with each change, including deletion.
    Version
}

counter! {
    /// The number of a deployment object within its stack: 1, 2, 3, …
    Revision
}
