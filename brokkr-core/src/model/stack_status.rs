//! Statuses of stacks on agents.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{
    AgentId, Condition, EventAction, EventOutcome, GeneratorId, Health, ObjectRef, Revision, StackId, Timestamp,
    Version,
};

/// The status of one stack on one agent, computed from the agent's reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackStatus {
    /// The agent.
    pub agent_id: AgentId,
    /// The stack.
    pub stack_id: StackId,
    /// The stack's owner.
    pub generator_id: GeneratorId,
    /// The revision that the agent last tried to apply.
    pub observed_revision: Option<Revision>,
    /// The newest revision of which the API server accepted every object.
    pub applied_revision: Option<Revision>,
    /// The conditions of the stack.
    pub conditions: Vec<Condition>,
    /// The health of the objects. It does not affect `applied_revision`.
    pub health: Health,
    /// The number of attempts since the last success.
    pub attempts: u64,
    /// The error of the last attempt. Absent if it succeeded.
    pub last_error: Option<LastError>,
    /// Objects that the agent kept because they contain objects of others.
    pub retained: Vec<ObjectRef>,
    /// The last recorded outcome. A repetition is counted in `attempts` and not recorded as an event again.
    pub last_outcome: Option<OutcomeKey>,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

/// The part of a status that is needed to count agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackProgress {
    /// The agent.
    pub agent_id: AgentId,
    /// The newest revision of which the API server accepted every object.
    pub applied_revision: Option<Revision>,
    /// Whether the last attempt failed.
    pub has_failed: bool,
}

/// The parts of an outcome that distinguish it from another one: everything except its times and its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeKey {
    /// The deployment object's revision.
    pub revision: Option<Revision>,
    /// The attempted action.
    pub action: EventAction,
    /// The outcome of the attempt.
    pub outcome: EventOutcome,
    /// The reason as one CamelCase word.
    pub reason: String,
    /// The objects concerned.
    pub objects: Vec<ObjectRef>,
}

/// The error of the last attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastError {
    /// The reason as one CamelCase word.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// The objects concerned.
    pub objects: Vec<ObjectRef>,
    /// The time when this error first occurred.
    pub since: Timestamp,
}

impl Record for StackStatus {
    type Id = (StackId, AgentId);

    fn id(&self) -> Self::Id {
        (self.stack_id, self.agent_id)
    }

    fn version(&self) -> Version {
        self.version
    }

    fn generator(&self) -> Option<GeneratorId> {
        Some(self.generator_id)
    }
}
