//! The part of a revision that decides what agents do.

use serde::{Deserialize, Serialize};

use crate::model::{DeploymentObject, DeploymentObjectId, Digest, Policies, Revision, StackId};

/// A revision with everything that it freezes: the content, by digest, and how agents treat it.
///
/// Releases and pins contain one, so that a poll needs no other entity to answer with an older revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenRevision {
    /// The deployment object.
    pub object_id: DeploymentObjectId,
    /// The revision.
    pub revision: Revision,
    /// SHA-256 of the content.
    pub digest: Digest,
    /// The size of the content in bytes.
    pub size: u64,
    /// How agents treat the objects of this revision.
    pub policies: Policies,
    /// Stacks that an agent applies before this revision.
    pub depends_on: Vec<StackId>,
}

impl From<&DeploymentObject> for FrozenRevision {
    fn from(object: &DeploymentObject) -> Self {
        Self {
            object_id: object.id,
            revision: object.revision,
            digest: object.digest,
            size: object.size,
            policies: object.policies.clone(),
            depends_on: object.depends_on.clone(),
        }
    }
}
