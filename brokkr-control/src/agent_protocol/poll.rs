//! Answers polls from the fleet view. Only newly listed stacks need the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::{
    Agent, AgentId, AgentStatus, Assignment, AssignmentState, Change, EntityKey, KeyKind, StackId, Timestamp, Version,
    limits,
};
use brokkr_core::protocol::{PollAnswer, PollRequest, TargetState};
use brokkr_core::store::{Precondition, Scope, StoreExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::view::{CATCH_UP, PollView, Wanted};

impl Broker {
    /// Returns the agent's target state. With `wait`, waits until it differs from the one that the agent knows, or until the
    /// time is over.
    ///
    /// Runs no query unless a stack is newly listed. Cancellation safe.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Stale`] if this replica's view is too old: the agent keeps its target state.
    /// [`BrokerError::AgentOutdated`] if the target state contains an action that the agent does not know.
    pub async fn target_state(&self, actor: &Actor, agent: AgentId, request: PollRequest) -> BrokerResult<PollAnswer> {
        self.target_state_with(actor, agent, request, || {}).await
    }

    /// Like [`target_state`](Self::target_state). Calls `waiting` before the poll waits for a change, so that the caller can give up
    /// what waiting polls should not hold.
    ///
    /// # Errors
    ///
    /// Those of `target_state`, and [`BrokerError::QuotaExceeded`] if too many polls of the key wait already.
    pub async fn target_state_with(
        &self,
        actor: &Actor,
        agent: AgentId,
        request: PollRequest,
        waiting: impl Fn() + Send,
    ) -> BrokerResult<PollAnswer> {
        let result = self.poll(actor, agent, request, waiting).await;
        self.parts.polls.polled(&result);
        result
    }

    async fn poll(
        &self,
        actor: &Actor,
        agent: AgentId,
        request: PollRequest,
        waiting: impl Fn() + Send,
    ) -> BrokerResult<PollAnswer> {
        const NAME: &str = "target-state.read";
        self.permit(actor, Action::TargetStateRead, NAME, Some(EntityKey::Agent(agent)))?;
        if actor.agent_id().is_some_and(|own| own != agent) {
            self.failed(actor, NAME, Some(EntityKey::Agent(agent)), &BrokerError::NotFound);
            return Err(BrokerError::NotFound);
        }
        if actor.kind() == KeyKind::Agent {
            self.parts.activity.agent_seen(agent, self.now());
        }
        let view = &self.parts.view;
        let wait = request.wait.min(Duration::from_secs(limits::POLL_WAIT_SECONDS));
        let deadline = (!wait.is_zero()).then(|| Instant::now() + wait);
        // Subscribed only if the poll waits.
        let mut news: Option<watch::Receiver<u64>> = None;
        // Recording assignments can lose races against other changes of the same stacks. The retries are bounded like those
        // of every decision.
        let mut tries = 0;
        // Held until the poll ends.
        let mut _open = None;
        loop {
            let poll = view.poll(agent, actor.key_id());
            if let Some(generation) = request.min_generation.filter(|it| !poll.has(*it, request.epoch)) {
                view.at_least(generation, request.epoch, CATCH_UP).await?;
                continue;
            }
            let key_ends = self.check_still_valid(actor, &poll)?;
            let (_, wanted) = poll.agent.as_ref().ok_or(BrokerError::NotFound)?;
            if actor.environments().is_some() {
                self.check_limit(actor, agent)?;
            }
            poll.check_fresh()?;
            if !wanted.unlisted.is_empty() && actor.kind() == KeyKind::Agent {
                tries += 1;
                if tries > limits::COMMIT_TRIES {
                    return Err(BrokerError::Contention);
                }
                self.list_unlisted(actor, agent).await?;
                continue;
            }
            let state = &wanted.state;
            if request.known != Some(state.digest) {
                // The agent keeps what it has. It could not read the answer.
                if wanted.holds && !request.knows_hold && actor.kind() == KeyKind::Agent {
                    self.failed(actor, NAME, Some(EntityKey::Agent(agent)), &BrokerError::AgentOutdated);
                    return Err(BrokerError::AgentOutdated);
                }
                return Ok(PollAnswer::Changed(Arc::new(TargetState { generation: poll.generation, ..state.clone() })));
            }
            let unchanged = Ok(PollAnswer::Unchanged { generation: poll.generation, epoch: state.epoch });
            let Some(deadline) = deadline.filter(|deadline| Instant::now() < *deadline) else {
                return unchanged;
            };
            let Some(news) = &mut news else {
                // Evaluate again after subscribing, because a change may have come before the subscription.
                news = view.news_of(agent);
                _open = actor.key_id().map(|key| self.parts.open_polls.begin(key)).transpose()?;
                waiting();
                continue;
            };
            let key_ends = key_ends.map(|end| Instant::now() + end.since(self.now()));
            tokio::select! {
                () = self.parts.draining.cancelled() => return unchanged,
                _ = news.changed() => {}
                () = tokio::time::sleep_until(key_ends.map_or(deadline, |end| end.min(deadline))) => {}
            }
        }
    }

    /// Fails if the agent is outside of the environments of the actor's key, also if it left them while its poll waited.
    fn check_limit(&self, actor: &Actor, agent: AgentId) -> BrokerResult<()> {
        let found = self.parts.view.agent(agent).ok_or(BrokerError::NotFound)?;
        match actor.kind() {
            _ if actor.reaches(found.environment.as_ref()) => Ok(()),
            KeyKind::Agent => Err(BrokerError::Unauthenticated),
            _ => Err(BrokerError::NotFound),
        }
    }

    /// Records the missing assignments and waits until the view contains them.
    async fn list_unlisted(&self, actor: &Actor, agent: AgentId) -> BrokerResult<()> {
        let mut folds = self.parts.view.folds();
        let poll = self.parts.view.poll(agent, actor.key_id());
        let Some((_, wanted)) = poll.agent.filter(|(_, wanted)| !wanted.unlisted.is_empty()) else {
            return Ok(());
        };
        match self.record_listing(actor, agent, &wanted).await {
            Ok(()) | Err(BrokerError::Contention) => {}
            Err(error) => return Err(error),
        }
        // The next fold contains the assignments, or the change that made them unnecessary.
        let _ = tokio::time::timeout(CATCH_UP, folds.changed()).await;
        Ok(())
    }

    /// Returns the key's expiry time. Fails if the key was revoked or has expired, or if the agent was retired, while its
    /// poll waited.
    fn check_still_valid(&self, actor: &Actor, poll: &PollView) -> BrokerResult<Option<Timestamp>> {
        let key_ends = poll.key_ends.ok_or(BrokerError::Unauthenticated)?;
        if key_ends.is_some_and(|end| end <= self.now()) {
            return Err(BrokerError::Unauthenticated);
        }
        if actor.kind() != KeyKind::Agent {
            return Ok(key_ends);
        }
        match poll.agent {
            None => Err(BrokerError::Unauthenticated),
            Some((AgentStatus::Retired, _)) => Err(BrokerError::AgentRetired),
            Some((AgentStatus::Active | AgentStatus::Cordoned, _)) => Ok(key_ends),
        }
    }

    /// Records assignments before the agent gets the target state: from then on a removal needs the agent's confirmation.
    async fn record_listing(&self, actor: &Actor, agent: AgentId, wanted: &Wanted) -> BrokerResult<()> {
        let stacks: Vec<StackId> = wanted.unlisted.iter().map(|(stack, _)| *stack).collect();
        self.decide(actor, "assignment.list", Some(EntityKey::Agent(agent)), || async {
            let now = self.now();
            let found = self.parts.store.assignment_find(&Scope::All, agent, &stacks).await?;
            let before: BTreeMap<StackId, Assignment> = found.into_iter().map(|it| (it.stack_id, it)).collect();
            // The agent changed concurrently; the view will soon contain the change and decide again.
            if self.parts.store.get::<Agent>(&Scope::All, agent).await?.version != wanted.agent_version {
                return Ok(Decision::nothing(()));
            }
            let mut changes = Vec::new();
            let mut preconditions = vec![Precondition::Version(EntityKey::Agent(agent), wanted.agent_version)];
            let generators = wanted.generators.iter();
            preconditions
                .extend(generators.map(|(id, version)| Precondition::Version(EntityKey::Generator(*id), *version)));
            for (stack, version) in &wanted.unlisted {
                let Some(owner) = self.parts.view.stack(*stack).map(|it| it.generator_id) else {
                    continue;
                };
                let old = before.get(stack);
                if old.is_some_and(|it| it.state == AssignmentState::Listed) {
                    continue;
                }
                preconditions.push(Precondition::Version(EntityKey::Stack(*stack), *version));
                changes.push(Change::Assignment(Assignment {
                    agent_id: agent,
                    stack_id: *stack,
                    generator_id: owner,
                    state: AssignmentState::Listed,
                    version: old.map_or(Version::FIRST, |it| it.version.next()),
                    created_at: old.map_or(now, |it| it.created_at),
                    updated_at: now,
                }));
            }
            let count = changes.len();
            let mut decision = Decision::commit((), changes).detail(format!("{count} stacks"));
            decision.object = Some(EntityKey::Agent(agent));
            decision.preconditions = preconditions;
            Ok(decision)
        })
        .await
    }
}
