//! Stacks.

use std::collections::BTreeMap;

use brokkr_core::model::schema::{Description, Message, PatchAnnotations, PatchLabels, Text};
use brokkr_core::model::{
    Annotations, GeneratorId, Labels, Name, Policies, StackId, StackPhase, TargetingRule, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::manifest::ManifestOrList;
use super::{DeploymentObject, PatchPolicies, PatchTargeting};

/// A named group of Kubernetes objects managed as a unit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Stack {
    /// Identity.
    pub id: StackId,
    /// The principal that owns it.
    pub generator_id: GeneratorId,
    /// Unique per generator; never changes.
    #[schema(value_type = Name)]
    pub name: String,
    /// For people.
    #[schema(value_type = Description)]
    pub description: String,
    /// What agents can share or be selected by.
    #[schema(value_type = Labels)]
    pub labels: BTreeMap<String, String>,
    /// What agents can share.
    #[schema(value_type = Annotations)]
    pub annotations: BTreeMap<String, String>,
    /// Who serves it; null means direct targets and shared labels or annotations.
    pub targeting: Option<TargetingRule>,
    /// How agents treat its objects.
    pub policies: Policies,
    /// Stacks that an agent applies, and waits for where their policy says so, before this one.
    pub depends_on: Vec<StackId>,
    /// Where it is in its life.
    pub phase: StackPhase,
    /// Grows with every change of the stack's own representation, not with publishing; also the ETag.
    pub version: Version,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A stack to be created.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "web", "description": "The shop's front end", "labels": {"env": "prod"}})))]
pub struct CreateStack {
    /// A DNS label, unique per generator.
    #[schema(value_type = Name)]
    pub name: String,
    /// For people.
    #[serde(default)]
    #[schema(value_type = Description)]
    pub description: String,
    /// What agents can share or be selected by.
    #[serde(default)]
    #[schema(value_type = Labels)]
    pub labels: BTreeMap<String, String>,
    /// What agents can share.
    #[serde(default)]
    #[schema(value_type = Annotations)]
    pub annotations: BTreeMap<String, String>,
    /// Who serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeting: Option<TargetingRule>,
    /// How agents treat its objects.
    #[serde(default)]
    pub policies: Policies,
    /// Stacks that an agent applies before this one.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeSet<StackId>, required = false, max_items = 32)]
    pub depends_on: Vec<StackId>,
    /// The owner; only admins may name another than themselves. Absent: the caller, for admins the system generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_id: Option<GeneratorId>,
}

/// What is to change in a stack (JSON Merge Patch): null resets a field.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"labels": {"env": "prod", "legacy": null}, "policies": {"adopt": "if-equal", "wait": {"timeout_seconds": 300}}})))]
pub struct PatchStack {
    /// For people.
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
    /// Labels; null removes one.
    #[schema(value_type = Option<PatchLabels>)]
    pub labels: Option<BTreeMap<String, Option<String>>>,
    /// Annotations; null removes one.
    #[schema(value_type = Option<PatchAnnotations>)]
    pub annotations: Option<BTreeMap<String, Option<String>>>,
    /// Who serves it.
    pub targeting: Option<PatchTargeting>,
    /// How agents treat its objects.
    pub policies: Option<PatchPolicies>,
    /// All stacks that an agent applies before this one.
    #[schema(value_type = Option<std::collections::BTreeSet<StackId>>, max_items = 32)]
    pub depends_on: Option<Vec<StackId>>,
}

/// Which generator to run with what.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"generator": "preview-environment", "params": {"image": "web:pr-7"}})))]
pub struct Generate {
    /// The name of a registered generator.
    #[schema(value_type = Text, required = true)]
    pub generator: String,
    /// Its parameters; they must fit its schema.
    #[serde(default)]
    #[schema(value_type = Value, required = false)]
    pub params: Value,
}

/// What a stack of a given name should be: an absent field stays as it is, null resets it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "labels": {"env": "prod"},
    "targeting": {"match_labels": {"env": "prod"}},
    "manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "greeting"}, "data": {"text": "hello"}}],
})))]
pub struct ApplyStack {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
    /// All labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Labels>)]
    pub labels: Option<BTreeMap<String, String>>,
    /// All annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Annotations>)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Who serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeting: Option<TargetingRule>,
    /// How agents treat its objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Policies>,
    /// All stacks that an agent applies before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeSet<StackId>>, max_items = 32)]
    pub depends_on: Option<Vec<StackId>>,
    /// The owner, as in the creation of a stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_id: Option<GeneratorId>,
    /// The objects; unchanged ones make no new revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<ManifestOrList>>, min_items = 1, max_items = 5_000)]
    pub manifests: Option<Vec<Value>>,
    /// Why, for people; goes with `manifests` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Message>)]
    pub message: Option<String>,
    /// A generator to run instead of giving `manifests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<Generate>,
}

/// A stack after it was applied by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AppliedStack {
    /// The stack.
    pub stack: Stack,
    /// The newest deployment object, if content was given.
    pub deployment_object: Option<DeploymentObject>,
    /// Whether the content made a new revision.
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
            phase: it.phase,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}
