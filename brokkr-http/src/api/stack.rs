//! Stacks.

use std::collections::BTreeMap;

use brokkr_core::model::schema::{Description, Message, PatchAnnotations, PatchLabels, Text};
use brokkr_core::model::{
    Annotations, GeneratorId, Labels, Name, Policies, ReleaseMode, StackId, StackPhase, Suspension, TargetingRule,
    Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::manifest::ManifestOrList;
use super::{DeploymentObject, PatchPolicies, PatchTargeting};

/// A named group of Kubernetes objects, managed as a unit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Stack {
    /// Identity.
    pub id: StackId,
    /// The generator that owns the stack.
    pub generator_id: GeneratorId,
    /// Unique per generator; immutable.
    #[schema(value_type = Name)]
    pub name: String,
    /// A description for readers.
    #[schema(value_type = Description)]
    pub description: String,
    /// Labels. Shared-label targeting compares them with the agents' labels.
    #[schema(value_type = Labels)]
    pub labels: BTreeMap<String, String>,
    /// Annotations. Shared-annotation targeting compares them with the agents' annotations.
    #[schema(value_type = Annotations)]
    pub annotations: BTreeMap<String, String>,
    /// Rule that selects agents. Null: agents with a direct target, and agents that share labels or annotations with the
    /// stack.
    pub targeting: Option<TargetingRule>,
    /// How agents treat the stack's objects.
    pub policies: Policies,
    /// Stacks that an agent applies before this one. If their policy says so, the agent also waits until they are ready.
    pub depends_on: Vec<StackId>,
    /// Whether agents get each revision at once, or only once it is stable in their environment.
    pub release: ReleaseMode,
    /// Why the stack is suspended on all agents; null if it is not.
    pub suspended: Option<Suspension>,
    /// Whether the stack cannot be deleted, at its end neither.
    pub deletion_protection: bool,
    /// The time at which the broker deletes the stack; null: never.
    pub expires_at: Option<Timestamp>,
    /// The time at which this end was announced, up to an hour before; null: not yet.
    pub expiry_announced_at: Option<Timestamp>,
    /// Whether the stack is active or being deleted.
    pub phase: StackPhase,
    /// Increases with every change of this representation, but not with a new revision. Also the ETag.
    pub version: Version,
    /// Creation time, by the broker's clock.
    pub created_at: Timestamp,
    /// Time of the last change of this representation.
    pub updated_at: Timestamp,
}

/// Request body that creates a stack.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "web", "description": "The shop's front end", "labels": {"env": "prod"}})))]
pub struct CreateStack {
    /// A DNS label, unique per generator. Cannot be changed later.
    #[schema(value_type = Name)]
    pub name: String,
    /// A description for readers. Default: empty.
    #[serde(default)]
    #[schema(value_type = Description)]
    pub description: String,
    /// Labels, for shared-label targeting.
    #[serde(default)]
    #[schema(value_type = Labels)]
    pub labels: BTreeMap<String, String>,
    /// Annotations, for shared-annotation targeting.
    #[serde(default)]
    #[schema(value_type = Annotations)]
    pub annotations: BTreeMap<String, String>,
    /// Rule that selects agents. Default: direct targets, and shared labels or annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeting: Option<TargetingRule>,
    /// How agents treat the stack's objects.
    #[serde(default)]
    pub policies: Policies,
    /// Stacks that an agent applies before this one.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeSet<StackId>, required = false, max_items = 32)]
    pub depends_on: Vec<StackId>,
    /// Whether agents get each revision at once. Default: `immediate`.
    #[serde(default)]
    #[schema(required = false)]
    pub release: ReleaseMode,
    /// Whether the stack cannot be deleted, at its end neither. Default: false.
    #[serde(default)]
    pub deletion_protection: bool,
    /// The time at which the broker deletes the stack, in the future. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The owner. Only admins may set another owner than themselves. Default: the caller; for admins the system generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_id: Option<GeneratorId>,
}

/// JSON Merge Patch of a stack: null resets a field to its default.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"labels": {"env": "prod", "legacy": null}, "policies": {"adopt": "if-equal", "wait": {"timeout_seconds": 300}}})))]
pub struct PatchStack {
    /// A description for readers.
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
    /// Labels to set; null removes a label.
    #[schema(value_type = Option<PatchLabels>)]
    pub labels: Option<BTreeMap<String, Option<String>>>,
    /// Annotations to set; null removes an annotation.
    #[schema(value_type = Option<PatchAnnotations>)]
    pub annotations: Option<BTreeMap<String, Option<String>>>,
    /// Rule that selects agents.
    pub targeting: Option<PatchTargeting>,
    /// How agents treat the stack's objects.
    pub policies: Option<PatchPolicies>,
    /// Replaces all dependencies.
    #[schema(value_type = Option<std::collections::BTreeSet<StackId>>, max_items = 32)]
    pub depends_on: Option<Vec<StackId>>,
    /// Whether agents get each revision at once.
    pub release: Option<ReleaseMode>,
    /// Whether the stack cannot be deleted, at its end neither.
    pub deletion_protection: Option<bool>,
    /// The time at which the broker deletes the stack, in the future; null: never.
    pub expires_at: Option<Timestamp>,
}

/// Request body that runs a generator.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"generator": "preview-environment", "params": {"image": "web:pr-7"}})))]
pub struct Generate {
    /// The name of a registered generator.
    #[schema(value_type = Text, required = true)]
    pub generator: String,
    /// Parameters of the generator, as its schema requires.
    #[serde(default)]
    #[schema(value_type = Value, required = false)]
    pub params: Value,
}

/// Desired state of a stack, by name. An absent field keeps its value, null resets it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "labels": {"env": "prod"},
    "targeting": {"match_labels": {"env": "prod"}},
    "manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "greeting"}, "data": {"text": "hello"}}],
})))]
pub struct ApplyStack {
    /// A description for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
    /// Replaces all labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Labels>)]
    pub labels: Option<BTreeMap<String, String>>,
    /// Replaces all annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Annotations>)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Rule that selects agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeting: Option<TargetingRule>,
    /// How agents treat the stack's objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Policies>,
    /// Replaces all dependencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeSet<StackId>>, max_items = 32)]
    pub depends_on: Option<Vec<StackId>>,
    /// Whether agents get each revision at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseMode>,
    /// Whether the stack cannot be deleted, at its end neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
    /// The time at which the broker deletes the stack, in the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The owner of the stack, with the same rules and default as in `CreateStack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_id: Option<GeneratorId>,
    /// The Kubernetes objects. If they equal the newest revision, no revision is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<ManifestOrList>>, min_items = 1, max_items = 5_000)]
    pub manifests: Option<Vec<Value>>,
    /// Describes the revision to readers. Allowed only with `manifests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Message>)]
    pub message: Option<String>,
    /// Generator to run; excludes `manifests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<Generate>,
}

/// The result of applying a stack by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AppliedStack {
    /// The stack after the request.
    pub stack: Stack,
    /// The newest deployment object; null if the request has no content.
    pub deployment_object: Option<DeploymentObject>,
    /// Whether the content became a new revision.
    pub published: bool,
}

impl From<brokkr_core::model::Stack> for Stack {
    fn from(it: brokkr_core::model::Stack) -> Self {
        Self {
            id: it.id,
            generator_id: it.generator_id,
            name: it.name.into(),
            description: it.description,
            labels: it.labels.into(),
            annotations: it.annotations.into(),
            targeting: it.targeting,
            policies: it.policies,
            depends_on: it.depends_on,
            release: it.release,
            suspended: it.suspended,
            deletion_protection: it.deletion_protection,
            expires_at: it.expires_at,
            expiry_announced_at: it.expiry_announced_at,
            phase: it.phase,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}
