//! Who serves what: the policy trait, ready-made policies, and combinators.
//!
//! ```
//! use brokkr_core::targeting::{DirectAssignment, SharedLabels, TargetingPolicy, any_of};
//!
//! // Direct targets, or at least one label in common.
//! let policy = any_of([DirectAssignment.boxed(), SharedLabels::any().boxed()]);
//! ```

mod combinators;
mod policies;
mod policy;
mod selector;

pub use combinators::{AllOf, AnyOf, Not, all_of, any_of, not};
pub use policies::{ByRule, DirectAssignment, SharedAnnotations, SharedLabels, default_policy};
pub use policy::{Candidate, PolicyError, TargetingPolicy, Verdict};
