//! The status of a stack on all its agents.

use std::collections::BTreeMap;

use brokkr_core::model::{
    AgentId, AgentStatus, EntityKey, Name, Revision, Stack, StackId, StackProgress, StackStatus, limits,
};
use brokkr_core::protocol::EntryAction;
use brokkr_core::store::{Listing, Page, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::BrokerResult;
use crate::view::Pair;

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

/// Agent counts. Each agent counts in exactly one of `applied`, `pending`, `failed` and `removing`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// All agents of the stack.
    pub agents: usize,
    /// Agents that have applied the newest revision.
    pub applied: usize,
    /// Agents that have not yet applied the newest revision.
    pub pending: usize,
    /// Agents whose last attempt failed.
    pub failed: usize,
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
    /// The action that the agent's target state requires.
    pub action: EntryAction,
    /// The revision in the agent's target state.
    pub desired_revision: Option<Revision>,
    /// The agent's last report on the stack; `None` before the first one.
    pub status: Option<StackStatus>,
}

impl Broker {
    /// Returns the status of a stack: counts of all agents, and the first [`limits::PAGE_MAX`] single agents.
    pub async fn stack_status(&self, actor: &Actor, stack: StackId) -> BrokerResult<StackOverview> {
        self.stack_status_page(actor, stack, &Page::first(limits::PAGE_MAX)).await
    }

    /// Like [`stack_status`](Self::stack_status), with a page of agents of the caller's choice.
    pub async fn stack_status_page(
        &self,
        actor: &Actor,
        stack: StackId,
        page: &Page<AgentId>,
    ) -> BrokerResult<StackOverview> {
        let scope = self.authorise(actor, Action::StackRead, "stack.read", Some(EntityKey::Stack(stack)))?;
        self.parts.store.get::<Stack>(&scope, stack).await?;
        self.parts.view.check_fresh()?;
        let latest = self.parts.store.deployment_object_latest(&scope, stack).await?.map(|it| it.revision);
        let progress = self.parts.store.stack_progress(&scope, stack).await?;
        let progress: BTreeMap<AgentId, StackProgress> = progress.into_iter().map(|it| (it.agent_id, it)).collect();
        let mut all: Vec<AgentStackStatus> = Vec::new();
        for (agent, pair) in self.parts.view.pairs_of_stack(stack) {
            let Some(action) = action_of(pair, agent.status, latest) else {
                continue;
            };
            all.push(AgentStackStatus {
                agent_id: agent.id,
                agent_name: agent.name.clone(),
                action,
                desired_revision: latest.filter(|_| action == EntryAction::Apply),
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
        for agent in &mut listing.items {
            agent.status = statuses.remove(&agent.agent_id);
        }
        Ok(StackOverview { latest_revision: latest, summary, agents: listing.items, next: listing.next })
    }
}

/// The action that the target state requires; `None` if the stack is not part of it.
fn action_of(pair: Pair, agent: AgentStatus, latest: Option<Revision>) -> Option<EntryAction> {
    if pair.is_wanted(agent) {
        return latest.map(|_| EntryAction::Apply);
    }
    pair.is_open().then_some(EntryAction::Remove)
}

fn count(mut summary: Summary, agent: &AgentStackStatus, progress: Option<&StackProgress>) -> Summary {
    summary.agents += 1;
    if agent.action == EntryAction::Remove {
        summary.removing += 1;
    } else if progress.is_some_and(|it| it.has_failed) {
        summary.failed += 1;
    } else if progress.is_some_and(|it| it.applied_revision == agent.desired_revision) {
        summary.applied += 1;
    } else {
        summary.pending += 1;
    }
    summary
}
