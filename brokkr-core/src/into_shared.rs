//! How a host hands a part over: by value, or in an `Arc` that it keeps a clone of.

/// Declares the conversion into a shared trait object for one contract.
///
/// One trait per contract, because a generic one could not be implemented for the contracts of other crates.
macro_rules! into_shared {
    ($(#[$doc:meta])* $into:ident :: $method:ident => $contract:ident) => {
        $(#[$doc])*
        pub trait $into {
            /// Shares the part.
            fn $method(self) -> std::sync::Arc<dyn $contract>;
        }

        impl<T: $contract> $into for T {
            fn $method(self) -> std::sync::Arc<dyn $contract> {
                std::sync::Arc::new(self)
            }
        }

        impl<T: $contract> $into for std::sync::Arc<T> {
            fn $method(self) -> std::sync::Arc<dyn $contract> {
                self
            }
        }

        impl $into for std::sync::Arc<dyn $contract> {
            fn $method(self) -> std::sync::Arc<dyn $contract> {
                self
            }
        }
    };
}

pub(crate) use into_shared;
