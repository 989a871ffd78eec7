//! Changes: one committed fact each.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{
    Agent, AgentEvent, AgentId, AgentSession, ApiKey, Assignment, DeploymentObject, DeploymentObjectId, EventId,
    GeneratorId, GeneratorPrincipal, KeyId, Stack, StackId, StackStatus, Target, Version,
};

/// One fact, with the complete state of its entity after it and that entity's version.
///
/// Folding a sequence of changes is "the higher version wins"; an entity with `deleted_at` is a tombstone.
/// The enum is exhaustive on purpose: a new kind must break every store that would ignore it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "entity", rename_all = "kebab-case")]
pub enum Change {
    /// A generator was created, changed or deleted.
    Generator(GeneratorPrincipal),
    /// A key was made or revoked.
    Key(ApiKey),
    /// An agent was created, changed or deleted.
    Agent(Agent),
    /// An agent's process reported.
    AgentSession(AgentSession),
    /// A stack was created, changed, ordered to go, or is gone.
    Stack(Stack),
    /// A deployment object was published: its metadata. Never changes afterwards.
    DeploymentObject(DeploymentObject),
    /// A direct target was set or removed.
    Target(Target),
    /// A pair was listed, or its removal moved on.
    Assignment(Assignment),
    /// An agent reported on a stack.
    StackStatus(StackStatus),
    /// An outcome was recorded. Never changes afterwards.
    Event(AgentEvent),
}

/// The kinds of entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EntityKind {
    /// [`GeneratorPrincipal`].
    Generator,
    /// [`ApiKey`].
    Key,
    /// [`Agent`].
    Agent,
    /// [`AgentSession`].
    AgentSession,
    /// [`Stack`].
    Stack,
    /// [`DeploymentObject`].
    DeploymentObject,
    /// [`Target`].
    Target,
    /// [`Assignment`].
    Assignment,
    /// [`StackStatus`].
    StackStatus,
    /// [`AgentEvent`].
    Event,
}

/// The identity of an entity of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKey {
    /// A generator.
    Generator(GeneratorId),
    /// A key.
    Key(KeyId),
    /// An agent.
    Agent(AgentId),
    /// An agent's session.
    AgentSession(AgentId),
    /// A stack.
    Stack(StackId),
    /// A deployment object.
    DeploymentObject(DeploymentObjectId),
    /// A direct target.
    Target(StackId, AgentId),
    /// An assignment.
    Assignment(StackId, AgentId),
    /// A stack's status on an agent.
    StackStatus(StackId, AgentId),
    /// An event of an agent.
    Event(AgentId, EventId),
}

impl EntityKey {
    /// The kind.
    pub fn kind(&self) -> EntityKind {
        match self {
            Self::Generator(_) => EntityKind::Generator,
            Self::Key(_) => EntityKind::Key,
            Self::Agent(_) => EntityKind::Agent,
            Self::AgentSession(_) => EntityKind::AgentSession,
            Self::Stack(_) => EntityKind::Stack,
            Self::DeploymentObject(_) => EntityKind::DeploymentObject,
            Self::Target(..) => EntityKind::Target,
            Self::Assignment(..) => EntityKind::Assignment,
            Self::StackStatus(..) => EntityKind::StackStatus,
            Self::Event(..) => EntityKind::Event,
        }
    }
}

impl fmt::Display for EntityKey {
    /// The id alone; for pairs `<stack id>/<agent id>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generator(id) => id.fmt(f),
            Self::Key(id) => id.fmt(f),
            Self::Agent(id) | Self::AgentSession(id) => id.fmt(f),
            Self::Stack(id) => id.fmt(f),
            Self::DeploymentObject(id) => id.fmt(f),
            Self::Target(stack, agent) | Self::Assignment(stack, agent) | Self::StackStatus(stack, agent) => {
                write!(f, "{stack}/{agent}")
            }
            Self::Event(_, id) => id.fmt(f),
        }
    }
}

impl Change {
    /// The entity.
    pub fn key(&self) -> EntityKey {
        match self {
            Self::Generator(it) => EntityKey::Generator(it.id),
            Self::Key(it) => EntityKey::Key(it.id),
            Self::Agent(it) => EntityKey::Agent(it.id),
            Self::AgentSession(it) => EntityKey::AgentSession(it.agent_id),
            Self::Stack(it) => EntityKey::Stack(it.id),
            Self::DeploymentObject(it) => EntityKey::DeploymentObject(it.id),
            Self::Target(it) => EntityKey::Target(it.stack_id, it.agent_id),
            Self::Assignment(it) => EntityKey::Assignment(it.stack_id, it.agent_id),
            Self::StackStatus(it) => EntityKey::StackStatus(it.stack_id, it.agent_id),
            Self::Event(it) => EntityKey::Event(it.agent_id, it.id),
        }
    }

    /// The entity's version after the change.
    pub fn version(&self) -> Version {
        match self {
            Self::Generator(it) => it.version,
            Self::Key(it) => it.version,
            Self::Agent(it) => it.version,
            Self::AgentSession(it) => it.version,
            Self::Stack(it) => it.version,
            Self::Target(it) => it.version,
            Self::Assignment(it) => it.version,
            Self::StackStatus(it) => it.version,
            Self::DeploymentObject(_) | Self::Event(_) => Version::FIRST,
        }
    }

    /// Whether the entity is gone after the change.
    pub fn is_tombstone(&self) -> bool {
        match self {
            Self::Generator(it) => it.deleted_at.is_some(),
            Self::Key(it) => it.deleted_at.is_some(),
            Self::Agent(it) => it.deleted_at.is_some(),
            Self::Stack(it) => it.deleted_at.is_some(),
            Self::Target(it) => it.deleted_at.is_some(),
            Self::AgentSession(_)
            | Self::DeploymentObject(_)
            | Self::Assignment(_)
            | Self::StackStatus(_)
            | Self::Event(_) => false,
        }
    }

    /// The generator whose rows the entity is among; `None` for what belongs to admins only.
    pub fn generator(&self) -> Option<GeneratorId> {
        match self {
            Self::Generator(it) => Some(it.id),
            Self::Stack(it) => Some(it.generator_id),
            Self::DeploymentObject(it) => Some(it.generator_id),
            Self::Target(it) => Some(it.generator_id),
            Self::Assignment(it) => Some(it.generator_id),
            Self::StackStatus(it) => Some(it.generator_id),
            Self::Event(it) => Some(it.generator_id),
            Self::Key(_) | Self::Agent(_) | Self::AgentSession(_) => None,
        }
    }
}
