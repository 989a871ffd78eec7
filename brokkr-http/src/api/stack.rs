//! Stacks.

use std::collections::BTreeMap;

use brokkr_core::model::{GeneratorId, Policies, StackId, StackPhase, TargetingRule, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::DeploymentObject;

/// A named group of Kubernetes objects managed as a unit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Stack {
    /// Identity.
    pub id: StackId,
    /// The principal that owns it.
    pub generator_id: GeneratorId,
    /// Unique per generator; never changes.
    pub name: String,
    /// For people.
    pub description: String,
    /// What agents can share or be selected by.
    pub labels: BTreeMap<String, String>,
    /// What agents can share.
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
pub struct CreateStack {
    /// A DNS label, unique per generator.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What agents can share or be selected by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What agents can share.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Who serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeting: Option<TargetingRule>,
    /// How agents treat its objects.
    #[serde(default)]
    pub policies: Policies,
    /// Stacks that an agent applies before this one.
    #[serde(default)]
    pub depends_on: Vec<StackId>,
    /// The owner; only admins may name another than themselves. Absent: the caller, for admins the system generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_id: Option<GeneratorId>,
}

/// What is to change in a stack (JSON Merge Patch): null resets a field.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PatchStack {
    /// For people.
    pub description: Option<String>,
    /// Labels; null removes one.
    pub labels: Option<BTreeMap<String, Option<String>>>,
    /// Annotations; null removes one.
    pub annotations: Option<BTreeMap<String, Option<String>>>,
    /// Who serves it.
    pub targeting: Option<TargetingRule>,
    /// How agents treat its objects.
    #[schema(value_type = Option<Object>)]
    pub policies: Option<Value>,
    /// All stacks that an agent applies before this one.
    pub depends_on: Option<Vec<StackId>>,
}

/// Which generator to run with what.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// The name of a registered generator.
    pub generator: String,
    /// Its parameters; they must fit its schema.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub params: Value,
}

/// What a stack of a given name should be: an absent field stays as it is, null resets it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ApplyStack {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// All labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// All annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Who serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeting: Option<TargetingRule>,
    /// How agents treat its objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Policies>,
    /// All stacks that an agent applies before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<StackId>>,
    /// The owner, as in the creation of a stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_id: Option<GeneratorId>,
    /// The objects; unchanged ones make no new revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub manifests: Option<Vec<Value>>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A generator to run instead of giving objects.
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
