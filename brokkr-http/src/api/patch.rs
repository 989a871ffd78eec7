//! Nested objects of merge patches (RFC 7396): an absent field keeps its value, null resets it to its default.

use std::collections::BTreeMap;

use brokkr_core::model::schema::{NamespaceName, PatchAnnotations, PatchLabels};
use brokkr_core::model::{Adopt, Conflicts, Deletion, Drift, IgnoreRule, Requirement, SharedKeys, Validate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Key-value pairs to set; null removes a key.
type Keys = BTreeMap<String, Option<String>>;

/// JSON Merge Patch of a stack's policies.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchPolicies {
    /// Handling of fields that another field manager owns.
    pub conflicts: Option<Conflicts>,
    /// Handling of objects that exist before the stack is applied.
    pub adopt: Option<Adopt>,
    /// Handling of fields or objects that others changed or deleted.
    pub drift: Option<Drift>,
    /// Whether a removed object is deleted, or released and left in the cluster.
    pub deletion: Option<Deletion>,
    /// Whether the agent runs a dry run before it writes.
    pub validate: Option<Validate>,
    /// The namespace for namespaced objects that name none; null for that of the generator.
    #[schema(value_type = Option<NamespaceName>)]
    pub default_namespace: Option<String>,
    /// Readiness wait after a stack is applied; null disables it.
    pub wait: Option<PatchWait>,
    /// Whether the agent may delete and recreate an object when an immutable field changes.
    pub replace_immutable: Option<bool>,
    /// Replaces all rules for fields that the agent does not correct after creation.
    #[schema(max_items = 32)]
    pub ignore: Option<Vec<IgnoreRule>>,
}

/// JSON Merge Patch of the readiness wait.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchWait {
    /// Seconds until the stack counts as stalled.
    #[schema(minimum = 1, maximum = 86_400)]
    pub timeout_seconds: u32,
}

/// JSON Merge Patch of a stack's targeting rule.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchTargeting {
    /// Replaces the names of the environments of which an agent must be in one.
    #[schema(value_type = Option<std::collections::BTreeSet<brokkr_core::model::Name>>, min_items = 1, max_items = 64)]
    pub environments: Option<Vec<String>>,
    /// Labels that an agent must have, with these values.
    #[schema(value_type = Option<PatchLabels>)]
    pub match_labels: Option<Keys>,
    /// Replaces all further requirements on the agent's labels.
    #[schema(max_items = 64)]
    pub match_expressions: Option<Vec<Requirement>>,
    /// Annotations that an agent must have, with these values.
    #[schema(value_type = Option<PatchAnnotations>)]
    pub match_annotations: Option<Keys>,
    /// Label keys whose values must be equal on stack and agent.
    pub shared_labels: Option<SharedKeys>,
    /// Annotation keys whose values must be equal on stack and agent.
    pub shared_annotations: Option<SharedKeys>,
    /// Agents that the rule excludes.
    pub exclude: Option<PatchExclusion>,
}

/// JSON Merge Patch of the excluded agents.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct PatchExclusion {
    /// Excludes agents that have these labels with these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PatchLabels, required = false)]
    pub match_labels: Option<Keys>,
    /// Replaces all further label requirements of the exclusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Requirement>, required = false, max_items = 64)]
    pub match_expressions: Option<Vec<Requirement>>,
    /// Excludes agents that have these annotations with these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PatchAnnotations, required = false)]
    pub match_annotations: Option<Keys>,
}
