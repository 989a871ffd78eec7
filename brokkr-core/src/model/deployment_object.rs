//! Deployment objects.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{ActorRef, DeploymentObjectId, Digest, GeneratorId, Revision, StackId, Timestamp};

/// An immutable snapshot of all manifests of a stack: its metadata. The bytes travel beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentObject {
    /// Identity.
    pub id: DeploymentObjectId,
    /// The stack.
    pub stack_id: StackId,
    /// The stack's owner at the time, which never changes.
    pub generator_id: GeneratorId,
    /// Its place in the stack.
    pub revision: Revision,
    /// SHA-256 of the stored bytes.
    pub digest: Digest,
    /// Bytes stored.
    pub size: u64,
    /// Kubernetes objects in it.
    pub object_count: u32,
    /// Why it was published, for people.
    pub message: String,
    /// Where it came from.
    pub provenance: Provenance,
    /// What is not stored or read as a person may expect: dropped fields, and values such as `0640`, with their line.
    pub warnings: Vec<String>,
    /// Who published it.
    pub created_by: ActorRef,
    /// When.
    pub created_at: Timestamp,
}

/// Where a deployment object came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Provenance {
    /// Manifests given by the caller.
    Published,
    /// Made by a registered generator.
    Generated {
        /// The generator's name.
        generator: String,
        /// SHA-256 of the canonical form (RFC 8785) of the parameters.
        params_digest: Digest,
    },
    /// An old revision, published again.
    Rollback {
        /// The revision whose content this is.
        of: Revision,
    },
}

impl Record for DeploymentObject {
    type Id = DeploymentObjectId;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn generator(&self) -> Option<GeneratorId> {
        Some(self.generator_id)
    }
}
