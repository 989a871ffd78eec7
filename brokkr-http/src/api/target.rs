//! Targets and placement.

use brokkr_core::desired::Why;
use brokkr_core::model::schema::Message;
use brokkr_core::model::{ActorRef, AgentId, Name, Revision, StackId, Timestamp};
use brokkr_core::protocol::EntryAction;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A direct target: an agent that should serve a stack, whatever the stack's targeting rule selects.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Target {
    /// The stack.
    pub stack_id: StackId,
    /// The agent.
    pub agent_id: AgentId,
    /// The actor that set the target.
    pub created_by: ActorRef,
    /// Creation time, by the broker's clock.
    pub created_at: Timestamp,
}

/// Request body that abandons an assignment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"reason": "the cluster was lost"})))]
pub struct Abandon {
    /// The reason, for the audit record.
    #[schema(value_type = Message)]
    pub reason: String,
}

/// The targeting decision for one stack and one agent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Placement {
    /// The stack.
    pub stack_id: StackId,
    /// The stack's name.
    #[schema(value_type = Name)]
    pub stack_name: String,
    /// The agent.
    pub agent_id: AgentId,
    /// The agent's name.
    #[schema(value_type = Name)]
    pub agent_name: String,
    /// Whether the agent serves the stack.
    pub matched: bool,
    /// The reasons for the decision, at least one.
    pub reasons: Vec<String>,
    /// The action in the agent's target state; null if the stack is not part of it.
    pub action: Option<EntryAction>,
    /// The revision that the agent should hold; null if none is ordered.
    pub desired_revision: Option<Revision>,
    /// The rule that decided the action and the revision.
    pub why: Why,
}

impl From<brokkr_core::model::Target> for Target {
    fn from(it: brokkr_core::model::Target) -> Self {
        Self { stack_id: it.stack_id, agent_id: it.agent_id, created_by: it.created_by, created_at: it.created_at }
    }
}
