//! The nested parts of merge patches (RFC 7396): what is absent stays as it is, and null resets it.

use std::collections::BTreeMap;

use brokkr_core::model::schema::{NamespaceName, PatchAnnotations, PatchLabels};
use brokkr_core::model::{Adopt, Conflicts, Deletion, Drift, IgnoreRule, Requirement, SharedKeys, Validate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Changes of keys; null removes one.
type Keys = BTreeMap<String, Option<String>>;

/// What is to change in the policies of a stack.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchPolicies {
    /// Fields that another manager owns.
    pub conflicts: Option<Conflicts>,
    /// Objects that exist already.
    pub adopt: Option<Adopt>,
    /// Fields that were changed or objects that were deleted by others.
    pub drift: Option<Drift>,
    /// What removal means.
    pub deletion: Option<Deletion>,
    /// Dry run before writing.
    pub validate: Option<Validate>,
    /// Where namespaced objects without a namespace go.
    #[schema(value_type = Option<NamespaceName>)]
    pub default_namespace: Option<String>,
    /// Waiting for readiness; null means not to wait.
    pub wait: Option<PatchWait>,
    /// Whether an object may be replaced when an immutable field changes.
    pub replace_immutable: Option<bool>,
    /// All fields that are left to others once an object is there.
    #[schema(max_items = 32)]
    pub ignore: Option<Vec<IgnoreRule>>,
}

/// What is to change in waiting for readiness.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchWait {
    /// Seconds until the stack counts as stalled.
    #[schema(minimum = 1, maximum = 86_400)]
    pub timeout_seconds: u32,
}

/// What is to change in who serves a stack.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchTargeting {
    /// Labels that the agent must have with these values.
    #[schema(value_type = Option<PatchLabels>)]
    pub match_labels: Option<Keys>,
    /// All further requirements on the agent's labels.
    #[schema(max_items = 64)]
    pub match_expressions: Option<Vec<Requirement>>,
    /// Annotations that the agent must have with these values.
    #[schema(value_type = Option<PatchAnnotations>)]
    pub match_annotations: Option<Keys>,
    /// Labels that stack and agent share.
    pub shared_labels: Option<SharedKeys>,
    /// Annotations that stack and agent share.
    pub shared_annotations: Option<SharedKeys>,
    /// Agents left out.
    pub exclude: Option<PatchExclusion>,
}

/// What is to change in the agents that are left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct PatchExclusion {
    /// Labels with these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PatchLabels, required = false)]
    pub match_labels: Option<Keys>,
    /// All further requirements on labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Requirement>, required = false, max_items = 64)]
    pub match_expressions: Option<Vec<Requirement>>,
    /// Annotations with these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PatchAnnotations, required = false)]
    pub match_annotations: Option<Keys>,
}
