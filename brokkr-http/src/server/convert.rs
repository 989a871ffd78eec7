//! Conversions from the broker's results to the API's documents.

use brokkr_control::{AgentDetails, ControllerStatus, KeyDetails, Placed, StackOverview};
use brokkr_core::model::Health;

use crate::api::{
    Agent, AgentSessionInfo, AgentSilenceInfo, AgentStackStatus, Controller, Effect, Impact, Key, Placement,
    StackStatus, Summary,
};

impl From<AgentDetails> for Agent {
    fn from(AgentDetails { agent, last_seen_at, silence, capabilities, session }: AgentDetails) -> Self {
        Self {
            last_seen_at,
            silence: silence.map(|it| AgentSilenceInfo { since: it.since, correlated: it.correlated }),
            capabilities: capabilities.into_iter().collect(),
            session: session.map(|it| AgentSessionInfo {
                cluster_uid: it.cluster_uid,
                instance_id: it.instance_id,
                started_at: it.started_at,
                unknown_stacks: it.unknown_stacks,
            }),
            ..Self::from(agent)
        }
    }
}

impl From<ControllerStatus> for Controller {
    fn from(ControllerStatus { name, holder, is_here, state }: ControllerStatus) -> Self {
        Self {
            name,
            holder,
            here: is_here,
            paused: state.paused,
            queued: state.queued,
            waiting_since: state.waiting_since,
            next_wake_at: state.next_wake_at,
            last_run_at: state.last_run_at,
            last_error: state.last_error,
        }
    }
}

impl From<KeyDetails> for Key {
    fn from(KeyDetails { key, last_used_at }: KeyDetails) -> Self {
        Self { last_used_at, ..Self::from(key) }
    }
}

impl From<Placed> for Placement {
    fn from(it: Placed) -> Self {
        let action = it.action();
        Self {
            stack_id: it.stack_id,
            stack_name: it.stack_name.into(),
            agent_id: it.agent_id,
            agent_name: it.agent_name.into(),
            matched: it.matched,
            action,
            reasons: it.reasons,
            desired_revision: it.desired.revision().copied(),
            why: it.desired.why(),
        }
    }
}

impl From<brokkr_control::Impact> for Impact {
    fn from(it: brokkr_control::Impact) -> Self {
        Self {
            stack_id: it.stack_id,
            stack_name: it.stack_name.into(),
            agent_id: it.agent_id,
            agent_name: it.agent_name.into(),
            effect: if it.gains { Effect::Gain } else { Effect::Loss },
            reasons: it.reasons,
        }
    }
}

impl StackStatus {
    /// Adds the cursor of the next page.
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
                held: summary.held,
                removing: summary.removing,
            },
            agents: it.agents.into_iter().map(AgentStackStatus::from).collect(),
            next,
        }
    }
}

impl From<brokkr_control::AgentStackStatus> for AgentStackStatus {
    fn from(it: brokkr_control::AgentStackStatus) -> Self {
        let mut out = Self {
            agent_id: it.agent_id,
            agent_name: it.agent_name.into(),
            cluster_name: it.cluster_name,
            last_seen_at: it.last_seen_at,
            action: it.action,
            desired_revision: it.desired_revision,
            why: it.why,
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
