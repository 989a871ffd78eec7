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
use tokio::sync::{SemaphorePermit, watch};
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
    pub async fn target_state(&self, actor: &Actor, agent: AgentId, request: PollRequest) -> BrokerResult<PollAnswer> {
        self.target_state_with(actor, agent, request, || {}).await
    }

    /// Like [`target_state`](Self::target_state). Calls `waiting` before the poll waits for a change, so that the caller can give up
    /// what waiting polls should not hold.
    ///
    /// # Errors
    ///
    /// Those of `target_state`, [`BrokerError::QuotaExceeded`] if too many polls of the key wait already, and
    /// [`BrokerError::Overloaded`] if one change has woken so many polls that this one cannot record its new stacks in time.
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
            poll.check_fresh()?;
            if !wanted.unlisted.is_empty() && actor.kind() == KeyKind::Agent {
                tries += 1;
                if tries > limits::COMMIT_TRIES {
                    return Err(BrokerError::Contention);
                }
                let turn = match &news {
                    // The poll has given up its place in a class of work.
                    Some(_) => Some(self.parts.listings.turn().await?),
                    None => None,
                };
                self.list_unlisted(actor, agent, turn).await?;
                continue;
            }
            let state = &wanted.state;
            if request.known != Some(state.digest) {
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

    /// Records the missing assignments and waits until the view contains them. Ends the turn once the store has answered.
    async fn list_unlisted(
        &self,
        actor: &Actor,
        agent: AgentId,
        turn: Option<SemaphorePermit<'_>>,
    ) -> BrokerResult<()> {
        let mut folds = self.parts.view.folds();
        let poll = self.parts.view.poll(agent, actor.key_id());
        let Some((_, wanted)) = poll.agent.filter(|(_, wanted)| !wanted.unlisted.is_empty()) else {
            return Ok(());
        };
        match self.record_listing(actor, agent, &wanted).await {
            Ok(()) | Err(BrokerError::Contention) => {}
            Err(error) => return Err(error),
        }
        drop(turn);
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

#[cfg(test)]
mod tests {
    use brokkr_core::model::StackSpec;
    use brokkr_core::store::MemoryStore;
    use futures::FutureExt as _;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::operations::agents::NewAgent;
    use crate::operations::preparation::Content;
    use crate::origin::Origin;

    #[tokio::test]
    async fn woken_poll_lists_only_in_its_turn() {
        let broker = Broker::builder(MemoryStore::new()).start().await.expect("started");
        let system = broker.system_actor();
        let new = NewAgent { name: "edge".to_owned(), ..NewAgent::default() };
        let (agent, key) = broker.agent_create(&system, new).await.expect("created");
        let pak = key.pak.expect("a new key");
        let actor = broker.authenticate(pak.expose_secret(), Origin::in_process()).expect("valid");
        let poll =
            |known, wait| broker.target_state(&actor, agent.id, PollRequest { known, wait, ..PollRequest::default() });
        let PollAnswer::Changed(empty) = poll(None, Duration::ZERO).await.expect("answered") else {
            panic!("nothing was known")
        };
        let mut waiting = Box::pin(poll(Some(empty.digest), Duration::from_secs(60)));
        assert!((&mut waiting).now_or_never().is_none(), "nothing has changed");
        let mut turns = Vec::new();
        while let Some(Ok(turn)) = broker.parts.listings.turn().now_or_never() {
            turns.push(turn);
        }
        let stack = broker.stack_create(&system, None, StackSpec::named("web")).await.expect("created").id;
        let documents = vec![serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})];
        let content = Content::Documents { documents, message: String::new() };
        broker.publish(&system, stack, content).await.expect("published");
        broker.target_set(&system, stack, agent.id).await.expect("set");
        let listed =
            async || broker.parts.store.assignment_find(&Scope::All, agent.id, &[stack]).await.expect("read").len();
        while broker.parts.view.poll(agent.id, actor.key_id()).agent.is_none_or(|it| it.1.unlisted.is_empty()) {
            assert!((&mut waiting).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        assert!((&mut waiting).now_or_never().is_none(), "all turns are taken");
        assert_eq!(listed().await, 0);
        drop(turns);
        assert!(matches!(waiting.await.expect("answered"), PollAnswer::Changed(state) if state.entries.len() == 1));
        assert_eq!(listed().await, 1);
    }
}
