//! Deployment objects.

use brokkr_core::model::schema::Message;
use brokkr_core::model::{ActorRef, DeploymentObjectId, Digest, Provenance, Revision, StackId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::manifest::ManifestOrList;

/// An immutable snapshot of all manifests of a stack, without the manifests.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeploymentObject {
    /// Identity.
    pub id: DeploymentObjectId,
    /// The stack.
    pub stack_id: StackId,
    /// Its place in the stack.
    pub revision: Revision,
    /// SHA-256 of the stored bytes.
    pub digest: Digest,
    /// Bytes stored.
    pub size: u64,
    /// Kubernetes objects in it.
    pub object_count: u32,
    /// Why it was published.
    #[schema(value_type = Message)]
    pub message: String,
    /// Where it came from.
    pub provenance: Provenance,
    /// What a person may not expect of the reading: what was dropped, and scalars that are not read as they look.
    pub warnings: Vec<String>,
    /// Who published it.
    pub created_by: ActorRef,
    /// When.
    pub created_at: Timestamp,
}

/// Manifests as JSON.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "greeting"}, "data": {"text": "hello"}}],
    "message": "Release 1.4.0",
})))]
pub struct PublishManifests {
    /// The objects, at least one.
    #[schema(value_type = Vec<ManifestOrList>, min_items = 1, max_items = 5_000)]
    pub manifests: Vec<Value>,
    /// Why, for people.
    #[serde(default)]
    #[schema(value_type = Message)]
    pub message: String,
}

/// The revision to go back to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"revision": 1})))]
pub struct Rollback {
    /// Its content is published again as a new revision.
    pub revision: Revision,
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
            warnings: it.warnings,
            created_by: it.created_by,
            created_at: it.created_at,
        }
    }
}
