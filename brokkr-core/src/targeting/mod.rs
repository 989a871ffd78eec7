//! Targeting: the policy trait, built-in policies, and combinators.
//!
//! ```
//! use brokkr_core::targeting::{DirectTarget, SharedLabels, TargetingPolicyExt as _};
//!
//! // Match direct targets, and agents that share at least one label with the stack.
//! let policy = DirectTarget.or(SharedLabels::any());
//! ```

mod built_in;
mod combinators;
mod policy;
mod reach;

pub use built_in::{ByRule, DirectTarget, SharedAnnotations, SharedLabels, default_policy};
pub use combinators::{AllOf, AnyOf, Not, TargetingPolicyExt, all_of, any_of, not};
pub use policy::{Candidate, IntoPolicy, PolicyError, TargetingPolicy, Verdict};
pub use reach::{Attribute, Reach};
