//! Targeting: the policy trait, ready-made policies, and combinators.
//!
//! ```
//! use brokkr_core::targeting::{DirectTarget, SharedLabels, TargetingPolicyExt as _};
//!
//! // Match direct targets, and agents that share at least one label with the stack.
//! let policy = DirectTarget.or(SharedLabels::any());
//! ```

mod combinators;
mod policies;
mod policy;

pub use combinators::{AllOf, AnyOf, Not, TargetingPolicyExt, all_of, any_of, not};
pub use policies::{ByRule, DirectTarget, SharedAnnotations, SharedLabels, default_policy};
pub use policy::{Candidate, IntoPolicy, PolicyError, TargetingPolicy, Verdict};
