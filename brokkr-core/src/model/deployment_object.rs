//! Deployment objects.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{ActorRef, DeploymentObjectId, Digest, GeneratorId, Policies, Revision, StackId, Timestamp};

/// The metadata of a deployment object: an immutable snapshot of all manifests of a stack. The content is stored
/// separately, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentObject {
    /// The id of the deployment object.
    pub id: DeploymentObjectId,
    /// The stack.
    pub stack_id: StackId,
    /// The stack's owner. It never changes.
    pub generator_id: GeneratorId,
    /// The revision: 1 for the stack's first deployment object, plus one for each further one.
    pub revision: Revision,
    /// SHA-256 of the stored content.
    pub digest: Digest,
    /// The size of the stored content in bytes.
    pub size: u64,
    /// The number of Kubernetes objects in the content.
    pub object_count: u32,
    /// The reason for the publication, for people.
    pub message: String,
    /// The origin of the content.
    pub provenance: Provenance,
    /// How agents treat the objects, as the stack said at the time of publication.
    #[serde(default)]
    pub policies: Policies,
    /// Stacks that an agent applies before this one, as the stack said at the time of publication.
    #[serde(default)]
    pub depends_on: Vec<StackId>,
    /// Differences between the sent and the stored manifests that may surprise: dropped fields, and values such as
    /// `0640`, each with its line.
    pub warnings: Vec<String>,
    /// The actor that published it.
    pub created_by: ActorRef,
    /// The time of publication.
    pub created_at: Timestamp,
}

/// The origin of a deployment object's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Provenance {
    /// The caller sent the manifests.
    Published,
    /// A registered generator produced the manifests.
    Generated {
        /// The generator's name.
        generator: String,
        /// SHA-256 of the canonical form (RFC 8785) of the parameters.
        params_digest: Digest,
    },
    /// The policies or dependencies of the stack changed; the content is that of the revision before.
    Settings,
    /// An earlier revision was published again.
    Rollback {
        /// The revision that the content was taken from.
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
