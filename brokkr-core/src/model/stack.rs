//! Stacks.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{Annotations, GeneratorId, Labels, Name, Policies, StackId, TargetingRule, Timestamp, Version};

/// Where a stack is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum StackPhase {
    /// Wanted.
    Active,
    /// Its removal was ordered and some cluster has not confirmed it yet. The name stays taken.
    Deleting,
}

/// A named group of Kubernetes objects managed as a unit.
///
/// What the group consists of stands in its [`DeploymentObject`](crate::model::DeploymentObject)s; publishing one
/// does not change the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Identity.
    pub id: StackId,
    /// The principal that owns it.
    pub generator_id: GeneratorId,
    /// Unique among the living stacks of its generator.
    pub name: Name,
    /// For people.
    pub description: String,
    /// What agents can share or be selected by.
    pub labels: Labels,
    /// What agents can share.
    pub annotations: Annotations,
    /// Who serves it; absent means the default rules.
    pub targeting: Option<TargetingRule>,
    /// How agents treat its objects.
    pub policies: Policies,
    /// Stacks that an agent applies, and waits for where their policy says so, before this one.
    #[serde(default)]
    pub depends_on: Vec<StackId>,
    /// Where it is in its life.
    pub phase: StackPhase,
    /// Grows with every change.
    pub version: Version,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Set on a tombstone. Tombstones of stacks are kept: an agent that still holds one is told to remove it.
    pub deleted_at: Option<Timestamp>,
}

impl Stack {
    /// Whether it is wanted: neither being deleted nor gone.
    pub fn is_active(&self) -> bool {
        self.phase == StackPhase::Active && self.deleted_at.is_none()
    }
}

impl Record for Stack {
    type Id = StackId;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn version(&self) -> Version {
        self.version
    }

    fn deleted_at(&self) -> Option<Timestamp> {
        self.deleted_at
    }

    fn generator(&self) -> Option<GeneratorId> {
        Some(self.generator_id)
    }

    fn name(&self) -> Option<&Name> {
        Some(&self.name)
    }

    fn labels(&self) -> Option<&Labels> {
        Some(&self.labels)
    }
}
