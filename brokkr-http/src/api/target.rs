//! Targets and placement.

use brokkr_core::model::schema::Message;
use brokkr_core::model::{ActorRef, AgentId, Name, StackId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A direct target.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Target {
    /// The stack.
    pub stack_id: StackId,
    /// The agent.
    pub agent_id: AgentId,
    /// Who said so.
    pub created_by: ActorRef,
    /// When.
    pub created_at: Timestamp,
}

/// Why an agent is given up.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"reason": "the cluster was lost"})))]
pub struct Abandon {
    /// For the audit.
    #[schema(value_type = Message)]
    pub reason: String,
}

/// A candidate and the verdict on it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Placement {
    /// The stack.
    pub stack_id: StackId,
    /// Its name.
    #[schema(value_type = Name)]
    pub stack_name: String,
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    #[schema(value_type = Name)]
    pub agent_name: String,
    /// Whether the agent serves the stack.
    pub matched: bool,
    /// Why or why not.
    pub reasons: Vec<String>,
}

impl From<brokkr_core::model::Target> for Target {
    fn from(it: brokkr_core::model::Target) -> Self {
        Self { stack_id: it.stack_id, agent_id: it.agent_id, created_by: it.created_by, created_at: it.created_at }
    }
}
