//! Deployment objects.

use brokkr_core::model::schema::Message;
use brokkr_core::model::{
    ActorRef, DeploymentObjectId, Digest, Name, Policies, Provenance, Revision, StackId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::manifest::ManifestOrList;

/// Metadata of a deployment object: an immutable snapshot of all manifests of a stack.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeploymentObject {
    /// Identity.
    pub id: DeploymentObjectId,
    /// The stack that the deployment object belongs to.
    pub stack_id: StackId,
    /// Revision number within the stack, counted from 1.
    pub revision: Revision,
    /// SHA-256 of the stored bytes. Also the ETag of the stored bytes.
    pub digest: Digest,
    /// Size of the stored bytes.
    pub size: u64,
    /// Number of Kubernetes objects.
    pub object_count: u32,
    /// The publisher's description of the revision.
    #[schema(value_type = Message)]
    pub message: String,
    /// How the content was produced: published, generated or rolled back.
    pub provenance: Provenance,
    /// How agents treat the objects of the revision.
    pub policies: Policies,
    /// Stacks that an agent applies before the revision.
    pub depends_on: Vec<StackId>,
    /// Problems that did not prevent publishing: dropped fields and scalars that YAML parses unexpectedly.
    pub warnings: Vec<String>,
    /// The actor that published the revision.
    pub created_by: ActorRef,
    /// Publication time.
    pub created_at: Timestamp,
}

/// Request body that publishes manifests as JSON.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "greeting"}, "data": {"text": "hello"}}],
    "message": "Release 1.4.0",
})))]
pub struct PublishManifests {
    /// The Kubernetes objects, at least one.
    #[schema(value_type = Vec<ManifestOrList>, min_items = 1, max_items = 5_000)]
    pub manifests: Vec<Value>,
    /// Describes the revision to readers. Default: empty.
    #[serde(default)]
    #[schema(value_type = Message)]
    pub message: String,
}

/// Request body of a rollback.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"revision": 1})))]
pub struct Rollback {
    /// The revision to return to, with its content, policies and dependencies.
    pub revision: Revision,
    /// The name of the environment whose gated agents return. Default: for a gated stack the agents without an environment, for
    /// other stacks all agents that are not gated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub environment: Option<String>,
    /// The reason, for people. Default: empty.
    #[serde(default)]
    #[schema(value_type = Message)]
    pub reason: String,
}

impl From<brokkr_core::model::DeploymentObject> for DeploymentObject {
    fn from(it: brokkr_core::model::DeploymentObject) -> Self {
        Self {
            id: it.id,
            stack_id: it.stack_id,
            revision: it.revision,
            digest: it.digest,
            size: it.size,
            object_count: it.object_count,
            message: it.message,
            provenance: it.provenance,
            policies: it.policies,
            depends_on: it.depends_on,
            warnings: it.warnings,
            created_by: it.created_by,
            created_at: it.created_at,
        }
    }
}
