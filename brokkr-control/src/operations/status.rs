//! The status of a stack on all its agents.

use std::collections::BTreeMap;
use std::fmt;

use brokkr_core::desired::{Desired, Why};
use brokkr_core::model::{
    AgentId, Condition, ConditionStatus, EntityKey, Health, Name, Revision, Stack, StackId, StackProgress, StackStatus,
    Timestamp, limits,
};
use brokkr_core::protocol::EntryAction;
use brokkr_core::store::{Listing, Page, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::BrokerResult;
use crate::view::PairOf;

/// The status of a stack on all its agents.
#[derive(Debug, Clone)]
pub struct StackOverview {
    /// The newest revision; `None` before the first publication.
    pub latest_revision: Option<Revision>,
    /// Agent counts by state.
    pub summary: Summary,
    /// A page of the agents that serve the stack or have not confirmed its removal, ordered by agent.
    pub agents: Vec<AgentStackStatus>,
    /// The last agent of the page, to continue from; `None` on the last page.
    pub next: Option<AgentId>,
}

/// Agent counts. Each agent counts in exactly one of `applied`, `pending`, `failed`, `held` and
/// `removing`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
#[derive(Debug, Clone)]
pub struct AgentStackStatus {
    /// The agent.
    pub agent_id: AgentId,
    /// The agent's name.
    pub agent_name: Name,
    /// The name of the agent's cluster. For display only.
    pub cluster_name: String,
    /// Time of the agent's last poll or report; `None` before the first one.
    pub last_seen_at: Option<Timestamp>,
    /// The action that the agent's target state requires.
    pub action: EntryAction,
    /// The revision in the agent's target state.
    pub desired_revision: Option<Revision>,
    /// The rule that decided the action and the revision.
    pub why: Why,
    /// The agent's last report on the stack; `None` before the first one.
    pub status: Option<StackStatus>,
}

/// The state of a stack on one agent, in one word. [`AgentStackStatus::state`] computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StackState {
    /// The agent has not applied its desired revision yet.
    Pending,
    /// The agent keeps what it holds, because nothing else is decided.
    Held,
    /// The agent's last attempt failed.
    Failed,
    /// The agent has not confirmed the removal yet.
    Removing,
    /// The desired revision is applied; this is the health of its objects.
    Applied(Health),
}

impl fmt::Display for StackState {
    /// Writes one word in lower case, such as `pending` or `healthy`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("pending"),
            Self::Held => f.write_str("held"),
            Self::Failed => f.write_str("failed"),
            Self::Removing => f.write_str("removing"),
            Self::Applied(health) => health.fmt(f),
        }
    }
}

impl AgentStackStatus {
    /// Returns the state of the stack on the agent in one word, with the reason unless it is healthy.
    ///
    /// The reason is that of the last error, or of the condition that explains the health: `Degraded`, `Stalled`,
    /// `Available` or `Progressing`, as `Reason: message`.
    ///
    /// ```
    /// # use brokkr_control::{AgentStackStatus, StackOverview};
    /// fn rows(overview: &StackOverview) -> Vec<String> {
    ///     let row = |agent: &AgentStackStatus| match agent.state() {
    ///         (state, Some(reason)) => format!("{}: {state} ({reason})", agent.agent_name),
    ///         (state, None) => format!("{}: {state}", agent.agent_name),
    ///     };
    ///     overview.agents.iter().map(row).collect()
    /// }
    /// ```
    pub fn state(&self) -> (StackState, Option<String>) {
        if self.action == EntryAction::Remove {
            let error = self.status.as_ref().and_then(error_of);
            let waits = || "the agent has not confirmed the removal yet".to_owned();
            return (StackState::Removing, Some(error.unwrap_or_else(waits)));
        }
        if self.action == EntryAction::Hold {
            return (StackState::Held, Some(self.why.explained().to_owned()));
        }
        let Some(status) = &self.status else {
            return (StackState::Pending, Some("the agent has not reported yet".to_owned()));
        };
        if let Some(error) = error_of(status) {
            return (StackState::Failed, Some(error));
        }
        if status.applied_revision != self.desired_revision {
            return (StackState::Pending, Some("the agent has not applied its desired revision yet".to_owned()));
        }
        let reason = if status.health == Health::Healthy { None } else { health_reason(&status.conditions) };
        (StackState::Applied(status.health), reason)
    }
}

/// The reason of the last attempt's failure.
fn error_of(status: &StackStatus) -> Option<String> {
    status.last_error.as_ref().map(|error| explained(&error.reason, &error.message))
}

/// The reason of the condition that explains why a stack is not healthy.
fn health_reason(conditions: &[Condition]) -> Option<String> {
    let explains = [("Degraded", true), ("Stalled", true), ("Available", false), ("Progressing", true)];
    explains.iter().find_map(|(kind, is_bad)| {
        let wanted = if *is_bad { ConditionStatus::True } else { ConditionStatus::False };
        let found = conditions.iter().find(|it| it.kind == *kind && it.status == wanted)?;
        Some(explained(&found.reason, &found.message))
    })
}

fn explained(reason: &str, message: &str) -> String {
    if message.is_empty() { reason.to_owned() } else { format!("{reason}: {message}") }
}

impl Broker {
    /// Returns the status of a stack: counts of all agents, and the first [`limits::PAGE_MAX`] single agents.
    pub async fn stack_status(&self, actor: &Actor, stack: StackId) -> BrokerResult<StackOverview> {
        self.stack_status_page(actor, stack, None, &Page::first(limits::PAGE_MAX)).await
    }

    /// Like [`stack_status`](Self::stack_status), with a page of agents of the caller's choice, of one environment or of all. The
    /// counts are of the same agents.
    pub async fn stack_status_page(
        &self,
        actor: &Actor,
        stack: StackId,
        environment: Option<&Name>,
        page: &Page<AgentId>,
    ) -> BrokerResult<StackOverview> {
        let scope = self.authorise(actor, Action::StackRead, "stack.read", Some(EntityKey::Stack(stack)))?;
        let found = self.parts.store.get::<Stack>(&scope, stack).await?;
        self.parts.view.check_fresh()?;
        let latest = self.parts.store.deployment_object_latest(&scope, stack).await?.map(|it| it.revision);
        let progress = self.parts.store.stack_progress(&scope, stack).await?;
        let progress: BTreeMap<AgentId, StackProgress> = progress.into_iter().map(|it| (it.agent_id, it)).collect();
        let mut all: Vec<AgentStackStatus> = Vec::new();
        for PairOf { agent, desired, .. } in self.parts.view.pairs_of_stack(stack) {
            // An agent of which the actor sees no status is none of its agents.
            let is_seen = scope.sees_pair(stack, found.generator_id, agent.id);
            if !is_seen || environment.is_some_and(|name| agent.environment.as_ref() != Some(name)) {
                continue;
            }
            let Some(action) = action_of(&desired) else {
                continue;
            };
            all.push(AgentStackStatus {
                agent_id: agent.id,
                agent_name: agent.name.clone(),
                cluster_name: agent.cluster_name.clone(),
                last_seen_at: None,
                action,
                desired_revision: desired.revision().copied(),
                why: desired.why(),
                status: None,
            });
        }
        all.sort_by_key(|it| it.agent_id);
        let count = |summary, agent: &AgentStackStatus| count(summary, agent, progress.get(&agent.agent_id));
        let summary = all.iter().fold(Summary::default(), count);
        let rest = all.into_iter().filter(|it| page.after.is_none_or(|after| it.agent_id > after));
        let mut listing = Listing::collect(rest, page.limit, |it| it.agent_id);
        let ids: Vec<AgentId> = listing.items.iter().map(|it| it.agent_id).collect();
        let statuses = self.parts.store.stack_status_of_stack(&scope, stack, &ids).await?;
        let mut statuses: BTreeMap<AgentId, StackStatus> = statuses.into_iter().map(|it| (it.agent_id, it)).collect();
        let seen = self.last_seen(&scope, &ids).await?;
        for agent in &mut listing.items {
            agent.status = statuses.remove(&agent.agent_id);
            agent.last_seen_at = seen.get(&agent.agent_id).copied();
        }
        Ok(StackOverview { latest_revision: latest, summary, agents: listing.items, next: listing.next })
    }
}

/// The action that the target state requires; `None` if the stack is not part of it.
pub(super) fn action_of(desired: &Desired<Revision>) -> Option<EntryAction> {
    match desired {
        Desired::Revision { .. } => Some(EntryAction::Apply),
        Desired::Hold { .. } => Some(EntryAction::Hold),
        Desired::Remove { .. } => Some(EntryAction::Remove),
        Desired::Absent { .. } => None,
    }
}

fn count(mut summary: Summary, agent: &AgentStackStatus, progress: Option<&StackProgress>) -> Summary {
    summary.agents += 1;
    if agent.action == EntryAction::Remove {
        summary.removing += 1;
    } else if agent.action == EntryAction::Hold {
        summary.held += 1;
    } else if progress.is_some_and(|it| it.has_failed) {
        summary.failed += 1;
    } else if progress.is_some_and(|it| it.applied_revision == agent.desired_revision) {
        summary.applied += 1;
    } else {
        summary.pending += 1;
    }
    summary
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};
    use brokkr_core::model::{GeneratorId, LastError, Version};

    use super::*;

    fn at() -> Timestamp {
        SystemClock.now()
    }

    fn revision(number: u64) -> Option<Revision> {
        Some(Revision::new(number))
    }

    fn status(applied: Option<Revision>, health: Health, conditions: &[(&str, ConditionStatus)]) -> StackStatus {
        let condition = |(kind, status): &(&str, ConditionStatus)| Condition {
            kind: (*kind).to_owned(),
            status: *status,
            reason: format!("{kind}Reason"),
            message: "why".to_owned(),
            observed_revision: applied,
            last_transition_at: at(),
        };
        StackStatus {
            agent_id: AgentId::generate(),
            stack_id: StackId::generate(),
            generator_id: GeneratorId::SYSTEM,
            observed_revision: applied,
            applied_revision: applied,
            conditions: conditions.iter().map(condition).collect(),
            health,
            attempts: 0,
            last_error: None,
            retained: Vec::new(),
            last_outcome: None,
            version: Version::FIRST,
            updated_at: at(),
        }
    }

    #[test]
    fn state_is_one_word_with_a_reason_unless_healthy() {
        use ConditionStatus::{False, True};
        let failed = StackStatus {
            last_error: Some(LastError {
                reason: "Conflict".to_owned(),
                message: "owned by others".to_owned(),
                objects: Vec::new(),
                since: at(),
            }),
            ..status(revision(1), Health::Healthy, &[])
        };
        let bad = [("Available", False), ("Progressing", True), ("Degraded", True)];
        let (apply, hold, remove) = (EntryAction::Apply, EntryAction::Hold, EntryAction::Remove);
        for (action, status, word, reason) in [
            (apply, None, "pending", Some("the agent has not reported yet")),
            (
                apply,
                Some(status(revision(1), Health::Healthy, &[])),
                "pending",
                Some("the agent has not applied its desired revision yet"),
            ),
            (apply, Some(failed.clone()), "failed", Some("Conflict: owned by others")),
            (apply, Some(status(revision(2), Health::Healthy, &[("Available", True)])), "healthy", None),
            (apply, Some(status(revision(2), Health::Degraded, &bad)), "degraded", Some("DegradedReason: why")),
            (
                apply,
                Some(status(revision(2), Health::Progressing, &bad[..2])),
                "progressing",
                Some("AvailableReason: why"),
            ),
            (apply, Some(status(revision(2), Health::Unknown, &[])), "unknown", None),
            (hold, None, "held", Some("the stack is suspended")),
            (hold, Some(failed.clone()), "held", Some("the stack is suspended")),
            (remove, None, "removing", Some("the agent has not confirmed the removal yet")),
            (remove, Some(failed), "removing", Some("Conflict: owned by others")),
        ] {
            let agent = AgentStackStatus {
                agent_id: AgentId::generate(),
                agent_name: "edge".parse().expect("a name"),
                cluster_name: String::new(),
                last_seen_at: None,
                action,
                desired_revision: revision(2),
                why: Why::StackSuspended,
                status,
            };
            let (state, why) = agent.state();
            assert_eq!((state.to_string().as_str(), why.as_deref()), (word, reason));
        }
    }
}
