//! Agent events: recorded outcomes of applying and removing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{AgentId, DeploymentObjectId, EventId, GeneratorId, Revision, StackId, Timestamp};

/// The action that an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventAction {
    /// Apply a revision to the cluster.
    Apply,
    /// Remove the stack from the cluster.
    Remove,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventOutcome {
    /// The attempt succeeded. For [`EventAction::Remove`], every object is gone.
    Success,
    /// The attempt failed; the agent tries again.
    Failure,
}

/// The outcome of an attempt to apply or remove a stack.
///
/// An event is recorded only if its revision, action, outcome, reason or objects differ from the last event of the same
/// agent and stack. The [`StackStatus`](crate::model::StackStatus) counts all attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEvent {
    /// The id, chosen by the agent and unique per agent.
    pub id: EventId,
    /// The agent.
    pub agent_id: AgentId,
    /// The stack.
    pub stack_id: StackId,
    /// The stack's owner.
    pub generator_id: GeneratorId,
    /// The deployment object that the agent applied.
    pub object_id: Option<DeploymentObjectId>,
    /// The revision of the deployment object.
    pub revision: Option<Revision>,
    /// The attempted action.
    pub action: EventAction,
    /// The outcome of the attempt.
    pub outcome: EventOutcome,
    /// The reason as one CamelCase word.
    pub reason: String,
    /// One sentence for people. It never contains data of a Secret.
    pub message: String,
    /// The objects that the event is about, at most [`EVENT_OBJECTS`](crate::model::limits::EVENT_OBJECTS).
    pub objects: Vec<ObjectRef>,
    /// Objects that the agent kept because they contain objects of others, for example a Namespace in use.
    pub retained: Vec<ObjectRef>,
    /// The start of the attempt, by the agent's clock.
    pub started_at: Timestamp,
    /// The end of the attempt, by the agent's clock.
    pub finished_at: Timestamp,
    /// The time of recording, by the broker's clock.
    pub recorded_at: Timestamp,
}

/// A reference to a Kubernetes object by group, kind, namespace and name.
///
/// The API version is not part of an object's identity.
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
    /// Namespace. Absent for cluster-scoped objects.
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
