//! What a generator may deploy.
//!
//! [`GrantRules`] decide about objects and policies without asking a cluster, so that the broker checks them at
//! publication and each agent checks them again before it writes.

#[allow(clippy::module_inception)]
mod grant;
mod kind_pattern;
mod namespace_pattern;
mod pod_security;
mod rules;
mod violation;

pub use grant::Grant;
#[cfg(feature = "openapi")]
pub(crate) use kind_pattern::LENGTH as KIND_PATTERN_LENGTH;
pub use kind_pattern::{KindPattern, NotAPattern};
pub use namespace_pattern::{NamespacePattern, NotANamespacePattern};
pub use pod_security::PodSecurity;
pub use rules::GrantRules;
pub use violation::{GrantedField, Violation};
