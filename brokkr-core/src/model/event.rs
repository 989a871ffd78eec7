//! Agent events: the permanent record of outcomes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{AgentId, DeploymentObjectId, EventId, GeneratorId, Revision, StackId, Timestamp};

/// What the agent tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventAction {
    /// To make the cluster hold a revision.
    Apply,
    /// To remove the stack from the cluster.
    Remove,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventOutcome {
    /// Done. For [`EventAction::Remove`]: every object is gone.
    Success,
    /// Not done; it is tried again.
    Failure,
}

/// The outcome of an attempt to apply or remove.
///
/// One is written when revision, action, outcome, reason or objects differ from the last one of the pair; mere
/// attempts are counted in the [`StackStatus`](crate::model::StackStatus).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEvent {
    /// Identity, given by the agent; unique per agent.
    pub id: EventId,
    /// The agent.
    pub agent_id: AgentId,
    /// The stack.
    pub stack_id: StackId,
    /// The stack's owner.
    pub generator_id: GeneratorId,
    /// The deployment object that was applied.
    pub object_id: Option<DeploymentObjectId>,
    /// Its revision.
    pub revision: Option<Revision>,
    /// What was tried.
    pub action: EventAction,
    /// How it ended.
    pub outcome: EventOutcome,
    /// One word in CamelCase.
    pub reason: String,
    /// One sentence; never contains what a Secret holds.
    pub message: String,
    /// The objects concerned, bounded.
    pub objects: Vec<ObjectRef>,
    /// Objects kept because something of others is in them.
    pub retained: Vec<ObjectRef>,
    /// When the attempt began, by the agent's clock.
    pub started_at: Timestamp,
    /// When it ended, by the agent's clock.
    pub finished_at: Timestamp,
    /// When the broker recorded it.
    pub recorded_at: Timestamp,
}

/// A Kubernetes object by what identifies it: group, kind, namespace, name.
///
/// The version of the API is not part of an object's identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectRef {
    /// API group; empty for the core group.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ShortText))]
    pub group: String,
    /// Kind.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ShortText))]
    pub kind: String,
    /// Namespace; absent for what has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::schema::ShortText>))]
    pub namespace: Option<String>,
    /// Name.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ShortText))]
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " {namespace}/{}", self.name),
            None => write!(f, " {}", self.name),
        }
    }
}

impl Record for AgentEvent {
    type Id = (AgentId, EventId);

    fn id(&self) -> Self::Id {
        (self.agent_id, self.id)
    }

    fn generator(&self) -> Option<GeneratorId> {
        Some(self.generator_id)
    }
}
