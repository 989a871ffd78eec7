//! The status of a stack on its agents.

use brokkr_core::broker::StackOverview;
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

impl StackStatus {
    /// As it is sent, with the cursor of the page behind it.
    #[cfg(feature = "server")]
    pub(crate) fn of(it: StackOverview, next: Option<String>) -> Self {
        let summary = it.summary;
        Self {
            latest_revision: it.latest_revision,
            summary: Summary {
                agents: summary.agents,
                applied: summary.applied,
                pending: summary.pending,
                failed: summary.failed,
                removing: summary.removing,
            },
            agents: it.agents.into_iter().map(AgentStackStatus::from).collect(),
            next,
        }
    }
}

impl From<brokkr_core::broker::AgentStackStatus> for AgentStackStatus {
    fn from(it: brokkr_core::broker::AgentStackStatus) -> Self {
        let mut out = Self {
            agent_id: it.agent_id,
            agent_name: it.agent_name.into(),
            action: it.action,
            desired_revision: it.desired_revision,
            observed_revision: None,
            applied_revision: None,
            conditions: Vec::new(),
            health: Health::Unknown,
            attempts: 0,
            last_error: None,
            retained: Vec::new(),
            updated_at: None,
        };
        if let Some(status) = it.status {
            out.observed_revision = status.observed_revision;
            out.applied_revision = status.applied_revision;
            out.conditions = status.conditions;
            out.health = status.health;
            out.attempts = status.attempts;
            out.last_error = status.last_error;
            out.retained = status.retained;
            out.updated_at = Some(status.updated_at);
        }
        out
    }
}
