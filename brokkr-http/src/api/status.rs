//! The status of a stack on its agents.

use brokkr_core::model::{AgentId, Condition, Health, LastError, Name, ObjectRef, Revision, Timestamp};
use brokkr_core::protocol::EntryAction;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The status of a stack on all its agents.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StackStatus {
    /// The newest revision; null before anything was published.
    pub latest_revision: Option<Revision>,
    /// All agents, counted.
    pub summary: Summary,
    /// A page of the agents that serve the stack or are still to remove it.
    pub agents: Vec<AgentStackStatus>,
    /// What to pass as `cursor` for the next page of agents; null on the last one.
    pub next: Option<String>,
}

/// Agents, counted; each in exactly one of the last four.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// All.
    pub agents: usize,
    /// Those on which the newest revision is applied.
    pub applied: usize,
    /// Those that are on the way.
    pub pending: usize,
    /// Those whose last attempt failed.
    pub failed: usize,
    /// Those that are to remove it.
    pub removing: usize,
}

/// A stack on one agent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AgentStackStatus {
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    #[schema(value_type = Name)]
    pub agent_name: String,
    /// What it is to do.
    pub action: EntryAction,
    /// The revision that it should hold.
    pub desired_revision: Option<Revision>,
    /// The revision that it worked on last.
    pub observed_revision: Option<Revision>,
    /// The newest revision of which its API server accepted every object.
    pub applied_revision: Option<Revision>,
    /// The aspects.
    pub conditions: Vec<Condition>,
    /// How the objects fare.
    pub health: Health,
    /// Tries since the last success.
    pub attempts: u64,
    /// What went wrong last.
    pub last_error: Option<LastError>,
    /// Objects that stay because something of others is in them.
    pub retained: Vec<ObjectRef>,
    /// When the agent said so; null before its first report.
    pub updated_at: Option<Timestamp>,
}
