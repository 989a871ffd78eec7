//! The status of a stack on its agents.

use brokkr_core::desired::Why;
use brokkr_core::model::schema::ShortText;
use brokkr_core::model::{AgentId, Condition, Health, LastError, Name, ObjectRef, Revision, Timestamp};
use brokkr_core::protocol::EntryAction;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The status of a stack on all its agents.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StackStatus {
    /// The newest revision; null before the first publication.
    pub latest_revision: Option<Revision>,
    /// Agent counts by state.
    pub summary: Summary,
    /// A page of the agents that serve the stack or have not confirmed its removal.
    pub agents: Vec<AgentStackStatus>,
    /// Pass it as `cursor` to read the next page of agents; null on the last page.
    pub next: Option<String>,
}

/// Agent counts. Each agent counts in exactly one of `applied`, `pending`, `failed`, `held` and
/// `removing`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// All agents of the stack.
    pub agents: usize,
    /// Agents that have applied their desired revision.
    pub applied: usize,
    /// Agents that have not yet applied their desired revision.
    pub pending: usize,
    /// Agents whose last attempt failed.
    pub failed: usize,
    /// Agents that keep what they hold, because nothing else is decided.
    pub held: usize,
    /// Agents that have not yet confirmed the removal.
    pub removing: usize,
}

/// The status of a stack on one agent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AgentStackStatus {
    /// The agent.
    pub agent_id: AgentId,
    /// The agent's name.
    #[schema(value_type = Name)]
    pub agent_name: String,
    /// The name of the agent's cluster. For display only.
    #[schema(value_type = ShortText)]
    pub cluster_name: String,
    /// Time of the agent's last poll or report; null before the first one.
    pub last_seen_at: Option<Timestamp>,
    /// The action that the agent's target state requires.
    pub action: EntryAction,
    /// The revision in the agent's target state.
    pub desired_revision: Option<Revision>,
    /// The rule that decided the action and the revision.
    pub why: Why,
    /// The last revision that the agent attempted.
    pub observed_revision: Option<Revision>,
    /// The newest revision of which the cluster accepted every object.
    pub applied_revision: Option<Revision>,
    /// Conditions, as in the Kubernetes API.
    pub conditions: Vec<Condition>,
    /// Combined health of the stack's objects.
    pub health: Health,
    /// Attempts since the last success.
    pub attempts: u64,
    /// The most recent error; null after a success.
    pub last_error: Option<LastError>,
    /// Objects that the agent did not delete because they contain objects of others, such as a Namespace.
    pub retained: Vec<ObjectRef>,
    /// Time of the agent's last report on the stack; null before the first one.
    pub updated_at: Option<Timestamp>,
}
