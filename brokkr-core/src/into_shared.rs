//! Conversion of a host's part into a shared trait object, from a value or from an `Arc`.

/// Declares the conversion trait for one contract.
///
/// Each contract needs a trait of its own: the orphan rule forbids other crates to implement a generic one.
#[doc(hidden)]
#[macro_export]
macro_rules! into_shared {
    ($(#[$doc:meta])* $into:ident :: $method:ident => $contract:ident) => {
        $(#[$doc])*
        pub trait $into {
            /// Converts the value into a shared trait object.
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
