//! What the fleet view is built from.

use crate::model::{
    Agent, ApiKey, Assignment, AssignmentState, Change, DeploymentObject, EntityKey, GeneratorPrincipal, Stack, Target,
};
use crate::store::view_token::ViewToken;

/// An entity that matters for answering agents, as of some version.
#[expect(
    clippy::large_enum_variant,
    reason = "entities are read one by one and kept apart; a box each would save nothing"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewEntity {
    /// A generator.
    Generator(GeneratorPrincipal),
    /// A key.
    Key(ApiKey),
    /// An agent.
    Agent(Agent),
    /// A stack.
    Stack(Stack),
    /// A deployment object, without its bytes.
    DeploymentObject(DeploymentObject),
    /// A direct target.
    Target(Target),
    /// An assignment.
    Assignment(Assignment),
}

impl ViewEntity {
    /// What a change means to the view; `None` for what agents' answers do not depend on.
    pub fn of(change: &Change) -> Option<Self> {
        match change {
            Change::Generator(it) => Some(Self::Generator(it.clone())),
            Change::Key(it) => Some(Self::Key(it.clone())),
            Change::Agent(it) => Some(Self::Agent(it.clone())),
            Change::Stack(it) => Some(Self::Stack(it.clone())),
            Change::DeploymentObject(it) => Some(Self::DeploymentObject(it.clone())),
            Change::Target(it) => Some(Self::Target(it.clone())),
            Change::Assignment(it) => Some(Self::Assignment(it.clone())),
            Change::AgentSession(_) | Change::StackStatus(_) | Change::Event(_) => None,
        }
    }

    /// The entity.
    pub fn key(&self) -> EntityKey {
        match self {
            Self::Generator(it) => EntityKey::Generator(it.id),
            Self::Key(it) => EntityKey::Key(it.id),
            Self::Agent(it) => EntityKey::Agent(it.id),
            Self::Stack(it) => EntityKey::Stack(it.id),
            Self::DeploymentObject(it) => EntityKey::DeploymentObject(it.id),
            Self::Target(it) => EntityKey::Target(it.stack_id, it.agent_id),
            Self::Assignment(it) => EntityKey::Assignment(it.stack_id, it.agent_id),
        }
    }

    /// Whether a view forgets the entity: tombstones, and pairs that are confirmed to be gone.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Generator(it) => it.deleted_at.is_some(),
            Self::Key(it) => it.deleted_at.is_some(),
            Self::Agent(it) => it.deleted_at.is_some(),
            Self::Stack(it) => it.deleted_at.is_some(),
            Self::DeploymentObject(_) => false,
            Self::Target(it) => it.deleted_at.is_some(),
            Self::Assignment(it) => it.state == AssignmentState::Gone,
        }
    }
}

/// Everything that is needed to answer agents at one moment.
#[derive(Debug, Clone)]
pub struct ViewSnapshot {
    /// All entities of the view's kinds that are not gone; of deployment objects the newest of each such stack.
    pub entities: Vec<ViewEntity>,
    /// Where to go on.
    pub token: ViewToken,
}

/// What came since.
#[derive(Debug, Clone)]
pub struct ViewTail {
    /// The changed entities, those of one entity in the order of their versions; gone ones included.
    pub entities: Vec<ViewEntity>,
    /// Where to go on.
    pub token: ViewToken,
}
