//! Stacks.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{
    Annotations, GeneratorId, Labels, Name, Policies, ReleaseMode, StackId, Suspension, TargetingRule, Timestamp,
    Version,
};

/// The phase of a stack's life cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum StackPhase {
    /// The stack is served by its agents.
    Active,
    /// Deletion was ordered, and at least one agent has not confirmed the removal yet. The name stays taken.
    Deleting,
}

/// A named group of Kubernetes objects that is managed as a unit.
///
/// The objects are in the stack's [`DeploymentObject`](crate::model::DeploymentObject)s. Publishing a revision does not
/// change the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// The id of the stack.
    pub id: StackId,
    /// The principal that owns it.
    pub generator_id: GeneratorId,
    /// Unique among the living stacks of its generator.
    pub name: Name,
    /// A description for people. May be empty.
    pub description: String,
    /// Labels that targeting rules match with an agent's labels.
    pub labels: Labels,
    /// Annotations that targeting rules match with an agent's annotations.
    pub annotations: Annotations,
    /// The rule that selects the agents. Absent: an agent matches if it shares a label or annotation with the stack.
    pub targeting: Option<TargetingRule>,
    /// How agents treat the objects of the next revision. Each revision freezes the policies.
    pub policies: Policies,
    /// Stacks that an agent applies before the next revision of this one. If such a stack has a `wait` policy, the agent also waits until it
    /// is ready.
    #[serde(default)]
    pub depends_on: Vec<StackId>,
    /// Whether agents get each revision at once.
    #[serde(default)]
    pub release: ReleaseMode,
    /// Why the stack is suspended on all agents. Absent: it is not.
    #[serde(default)]
    pub suspended: Option<Suspension>,
    /// Whether the stack cannot be deleted. The broker does not delete it at its end either.
    #[serde(default)]
    pub deletion_protection: bool,
    /// The time at which the broker deletes the stack. Absent: it has no end.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// The time at which this end was announced. The broker deletes no stack whose end it has not announced.
    #[serde(default)]
    pub expiry_announced_at: Option<Timestamp>,
    /// The phase of its life cycle.
    pub phase: StackPhase,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of deletion. Set only on a tombstone. Tombstones of stacks are kept, so that the broker can order an
    /// agent that still holds the stack to remove it.
    pub deleted_at: Option<Timestamp>,
}

impl Stack {
    /// Whether the stack is active: neither in deletion nor deleted.
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
