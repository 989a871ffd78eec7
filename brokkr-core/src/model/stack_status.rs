//! What an agent last said of a stack.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{
    AgentId, Condition, EventAction, EventOutcome, GeneratorId, Health, ObjectRef, Revision, StackId, Timestamp,
    Version,
};

/// The status of one stack on one agent: a fold of the agent's reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackStatus {
    /// The agent.
    pub agent_id: AgentId,
    /// The stack.
    pub stack_id: StackId,
    /// The stack's owner.
    pub generator_id: GeneratorId,
    /// The revision that the agent worked on last.
    pub observed_revision: Option<Revision>,
    /// The newest revision of which the API server accepted every object.
    pub applied_revision: Option<Revision>,
    /// The aspects.
    pub conditions: Vec<Condition>,
    /// How the objects fare; never counts in `applied_revision`.
    pub health: Health,
    /// Tries since the last success.
    pub attempts: u64,
    /// What went wrong last; absent when the last attempt succeeded.
    pub last_error: Option<LastError>,
    /// Objects that outlive the stack because something of others is in them.
    pub retained: Vec<ObjectRef>,
    /// The outcome that was recorded last, so that a repeated one is counted and not recorded again.
    pub last_outcome: Option<OutcomeKey>,
    /// Grows with every change.
    pub version: Version,
    /// When the agent said so.
    pub updated_at: Timestamp,
}

/// As much of a status as it takes to count agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackProgress {
    /// The agent.
    pub agent_id: AgentId,
    /// The newest revision of which the API server accepted every object.
    pub applied_revision: Option<Revision>,
    /// Whether the last attempt failed.
    pub has_failed: bool,
}

/// What makes two outcomes the same: all but their time and their text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeKey {
    /// The deployment object's revision.
    pub revision: Option<Revision>,
    /// What was tried.
    pub action: EventAction,
    /// How it ended.
    pub outcome: EventOutcome,
    /// Why.
    pub reason: String,
    /// On which objects.
    pub objects: Vec<ObjectRef>,
}

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastError {
    /// One word in CamelCase.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// The objects concerned.
    pub objects: Vec<ObjectRef>,
    /// When it was first seen.
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
