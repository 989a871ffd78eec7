//! The fleet view: an in-memory fold of all committed changes, which answers agents without a query.

mod agent_entry;
mod decide;
mod desire;
mod environments;
pub(crate) mod fold;
pub(crate) mod impact;
mod index;
mod limited;
mod losses;
mod names;
mod pair;
pub(crate) mod placement;
mod queries;
mod stack_entry;
mod state;
mod tenants;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, broadcast, watch};

pub(crate) use agent_entry::Wanted;
use brokkr_core::model::{
    Agent, AgentId, AgentSilence, AgentStatus, ApiKey, Change, DeploymentObject, DeploymentObjectId, Epoch,
    FrozenRevision, Generation, GeneratorId, Grant, GrantId, JoinToken, KeyId, Name, Pin, Stack, StackId, StackRelease,
    Timestamp, limits,
};
use brokkr_core::store::{FeedPosition, ViewToken};
use brokkr_core::targeting::TargetingPolicy;
pub(crate) use environments::SeenEnvironment;
use fold::Fold;
pub(crate) use pair::PairOf;
use state::ViewState;

use crate::error::{BrokerError, BrokerResult};

/// Time limit for a replica to catch up with a commit that another replica has seen.
pub(crate) const CATCH_UP: Duration = Duration::from_secs(2);
/// Time limit for the view to contain the caller's own commit. After it the caller gets its answer anyway: the commit is
/// durable.
const OWN_COMMIT_WAIT: Duration = Duration::from_secs(1);

/// Folds that a follower of the view may be behind. It then has to look at everything.
const FOLDS: usize = 256;

/// The fleet view. One background task, `follow`, writes it; all operations read it.
pub(crate) struct FleetView {
    policy: Arc<dyn TargetingPolicy>,
    state: RwLock<ViewState>,
    /// Changes with every fold.
    folded: watch::Sender<u64>,
    /// Every fold with its changes, for the controllers.
    changes: broadcast::Sender<Arc<Fold>>,
    /// Wakes `follow` before its next tick.
    asked: Notify,
}

/// The view's data for one poll, read under one lock, because lock acquisitions dominate the cost of polls.
pub(crate) struct PollView {
    /// `None` if the agent does not exist.
    pub(crate) agent: Option<(AgentStatus, Arc<Wanted>)>,
    /// The key's expiry time, if it has one; `None` if the key is not valid.
    pub(crate) key_ends: Option<Option<Timestamp>>,
    pub(crate) generation: Generation,
    epoch: Epoch,
    read_at: Instant,
}

impl PollView {
    /// Whether the view has reached this generation; see [`FleetView::at_least`].
    pub(crate) fn has(&self, generation: Generation, epoch: Option<Epoch>) -> bool {
        is_at_least((self.generation, self.epoch), generation, epoch)
    }

    /// Fails if the view is too old to answer.
    pub(crate) fn check_fresh(&self) -> BrokerResult<()> {
        check_fresh(self.read_at)
    }
}

fn is_at_least((seen, of): (Generation, Epoch), generation: Generation, epoch: Option<Epoch>) -> bool {
    epoch.is_some_and(|epoch| epoch != of) || seen >= generation
}

fn check_fresh(read_at: Instant) -> BrokerResult<()> {
    let limit = Duration::from_secs(limits::VIEW_MAX_AGE_SECONDS);
    if read_at.elapsed() > limit { Err(BrokerError::Stale) } else { Ok(()) }
}

impl FleetView {
    /// An empty view. It answers only after the first [`reset`](Self::reset).
    pub(crate) fn new(policy: Arc<dyn TargetingPolicy>, began: Instant) -> Self {
        let state = RwLock::new(ViewState::new(policy.clone(), began));
        Self {
            policy,
            state,
            folded: watch::Sender::new(0),
            changes: broadcast::Sender::new(FOLDS),
            asked: Notify::new(),
        }
    }

    // Only `fold` writes the state, and it does not panic. A poisoned lock is therefore a bug, and serving the current state
    // is no worse than failing.
    fn read(&self) -> RwLockReadGuard<'_, ViewState> {
        self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, ViewState> {
        self.state.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Replaces the contents with a snapshot.
    pub(crate) fn reset(&self, entities: Vec<Change>, token: ViewToken, began: Instant) {
        let mut state = self.write();
        state.clear(&entities);
        let generation = token.generation();
        state.fold(entities, token, began);
        drop(state);
        self.folded.send_modify(|count| *count += 1);
        self.publish(Fold { changes: Vec::new(), is_reset: true, generation });
    }

    /// Folds the result of a read that started at `began`.
    pub(crate) fn fold(&self, entities: Vec<Change>, token: ViewToken, began: Instant) {
        let generation = token.generation();
        let changes = if self.changes.receiver_count() > 0 { entities.clone() } else { Vec::new() };
        self.write().fold(entities, token, began);
        self.folded.send_modify(|count| *count += 1);
        self.publish(Fold { changes, is_reset: false, generation });
    }

    fn publish(&self, fold: Fold) {
        // Fails if nobody follows the view.
        let _ = self.changes.send(Arc::new(fold));
    }

    /// A receiver of every later fold.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Fold>> {
        self.changes.subscribe()
    }

    /// Calls `see` for each stack, including tombstones that agents may still hold. Holds the view's lock meanwhile.
    pub(crate) fn each_stack(&self, mut see: impl FnMut(&Stack)) {
        self.read().stacks().for_each(|stack| see(stack));
    }

    /// Calls `see` for each agent. Holds the view's lock meanwhile.
    pub(crate) fn each_agent(&self, mut see: impl FnMut(&Agent)) {
        self.read().agents().for_each(|agent| see(agent));
    }

    /// Calls `see` for each API key that is not revoked. Holds the view's lock meanwhile.
    pub(crate) fn each_key(&self, mut see: impl FnMut(&ApiKey)) {
        self.read().keys().for_each(|key| see(key));
    }

    /// A receiver that changes with every later fold.
    pub(crate) fn folds(&self) -> watch::Receiver<u64> {
        self.folded.subscribe()
    }

    pub(crate) fn token(&self) -> ViewToken {
        self.read().token().clone()
    }

    /// Time since the last successful read of the store started.
    pub(crate) fn age(&self) -> Duration {
        self.read_at().elapsed()
    }

    fn read_at(&self) -> Instant {
        self.read().read_at()
    }

    /// The numbers of agents and stacks.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.read().counts()
    }

    /// Waits for a read of the store that starts after this call. Fails with `Stale` on timeout.
    pub(crate) async fn refreshed(&self, within: Duration) -> BrokerResult<()> {
        let asked = Instant::now();
        self.asked.notify_one();
        self.folded_until(within, || self.read_at() >= asked).await
    }

    /// Waits for folds until `enough` is true. Fails with `Stale` on timeout.
    async fn folded_until(&self, within: Duration, enough: impl Fn() -> bool) -> BrokerResult<()> {
        let mut folded = self.folded.subscribe();
        let wait = async {
            while !enough() {
                if folded.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(within, wait).await.map_err(|_| BrokerError::Stale)
    }

    /// Resolves when an operation waits for a read.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Fails if the view is too old to answer.
    pub(crate) fn check_fresh(&self) -> BrokerResult<()> {
        check_fresh(self.read_at())
    }

    /// Waits until the view contains a commit, at most [`OWN_COMMIT_WAIT`].
    pub(crate) async fn caught_up(&self, position: FeedPosition) {
        let contains = || self.read().token().contains(position);
        if self.folded_until(OWN_COMMIT_WAIT, contains).await.is_err() {
            tracing::warn!("the fleet view does not contain an own commit after 1 s; later reads may miss it");
        }
    }

    /// The epoch of the view.
    pub(crate) fn epoch(&self) -> Epoch {
        self.read().token().epoch()
    }

    /// Waits until the view has reached this generation. Fails with `Stale` on timeout. Generations of other epochs are
    /// ignored, because they are not comparable.
    pub(crate) async fn at_least(
        &self,
        generation: Generation,
        epoch: Option<Epoch>,
        within: Duration,
    ) -> BrokerResult<()> {
        let reached = || {
            let state = self.read();
            let token = state.token();
            is_at_least((token.generation(), token.epoch()), generation, epoch)
        };
        self.folded_until(within, reached).await
    }

    /// A key that is not revoked. Fails with `Stale` if the view is too old to know about revocations.
    pub(crate) fn key(&self, short_id: &str) -> BrokerResult<Option<Arc<ApiKey>>> {
        let state = self.read();
        check_fresh(state.read_at())?;
        Ok(state.key(short_id).cloned())
    }

    /// A join token that is not deleted. Fails with `Stale` if the view is too old to know about deletions.
    pub(crate) fn join_token(&self, short_id: &str) -> BrokerResult<Option<Arc<JoinToken>>> {
        let state = self.read();
        check_fresh(state.read_at())?;
        Ok(state.join_token(short_id).cloned())
    }

    /// The keys of admins that are not revoked.
    pub(crate) fn admin_keys(&self) -> Vec<Arc<ApiKey>> {
        self.read().admin_keys()
    }

    pub(crate) fn agent_status(&self, id: AgentId) -> Option<AgentStatus> {
        self.read().agent(id).map(|entry| entry.agent.status)
    }

    pub(crate) fn agent(&self, id: AgentId) -> Option<Arc<Agent>> {
        self.read().agent(id).map(|entry| entry.agent.clone())
    }

    /// The last silence of an agent; `None` if it was never silent.
    pub(crate) fn silence(&self, id: AgentId) -> Option<Arc<AgentSilence>> {
        self.read().silence(id).cloned()
    }

    /// The grants for a stack's objects, each with the agents that it applies to: those that match the stack, or all that
    /// are registered with its generator if none matches.
    pub(crate) fn grants_for(&self, stack: &Stack) -> Vec<(Arc<Grant>, Vec<Arc<Agent>>)> {
        let (mut reached, is_decided) = self.read().reached_by(stack);
        if !is_decided {
            let matches = |agent: &Agent| self.may_match(stack, agent, false);
            let matching: Vec<_> = reached.iter().filter(|(agent, _)| matches(agent)).cloned().collect();
            reached = if matching.is_empty() { reached } else { matching };
        }
        let mut grants: BTreeMap<GrantId, (Arc<Grant>, Vec<Arc<Agent>>)> = BTreeMap::new();
        for (agent, grant) in reached {
            if let Some(grant) = grant {
                grants.entry(grant.id).or_insert_with(|| (grant.clone(), Vec::new())).1.push(agent);
            }
        }
        grants.into_values().collect()
    }

    /// A generator that would share namespaces with one of this name.
    pub(crate) fn generator_beside(&self, name: &Name) -> Option<Name> {
        self.read().generator_beside(name)
    }

    pub(crate) fn generator_name(&self, id: GeneratorId) -> Option<Name> {
        self.read().generator_name(id)
    }

    pub(crate) fn has_generator(&self, id: GeneratorId) -> bool {
        self.read().has_generator(id)
    }

    pub(crate) fn stack(&self, id: StackId) -> Option<Arc<Stack>> {
        self.read().stack(id)
    }

    /// A stack and its newest deployment object.
    pub(crate) fn stack_with_object(&self, id: StackId) -> Option<(Arc<Stack>, Option<Arc<DeploymentObject>>)> {
        self.read().stack_with_object(id)
    }

    /// The stacks in an agent's target state, which the agent may read.
    pub(crate) fn stacks_of(&self, id: AgentId) -> Arc<BTreeSet<StackId>> {
        self.read().wanted(id).map(|(_, wanted)| wanted.stacks.clone()).unwrap_or_default()
    }

    /// Whether an agent's target state lists a deployment object to apply.
    pub(crate) fn lists(&self, id: AgentId, object: DeploymentObjectId) -> bool {
        self.read().wanted(id).is_some_and(|(_, wanted)| wanted.objects.contains(&object))
    }

    pub(crate) fn poll(&self, id: AgentId, key: Option<KeyId>) -> PollView {
        let state = self.read();
        PollView {
            agent: state.wanted(id),
            key_ends: key.map_or(Some(None), |key| state.key_ends(key)),
            generation: state.token().generation(),
            epoch: state.token().epoch(),
            read_at: state.read_at(),
        }
    }

    /// A receiver that changes when this agent's target state may have changed.
    pub(crate) fn news_of(&self, id: AgentId) -> Option<watch::Receiver<u64>> {
        self.read().agent(id).map(|entry| entry.changed.subscribe())
    }

    /// One pair; `None` if the view does not know the stack or the agent.
    pub(crate) fn pair(&self, stack: StackId, agent: AgentId) -> Option<PairOf> {
        self.read().pair(stack, agent)
    }

    /// The releases of a stack, ordered by id.
    pub(crate) fn releases_of(&self, stack: StackId) -> Vec<Arc<StackRelease>> {
        self.read().releases_of(stack)
    }

    /// The pins of a stack, ordered by agent.
    pub(crate) fn pins_of(&self, stack: StackId) -> Vec<Arc<Pin>> {
        self.read().pins_of(stack)
    }

    /// The pins on an agent.
    pub(crate) fn pins_on(&self, agent: AgentId) -> Vec<Arc<Pin>> {
        self.read().pins_on(agent)
    }

    /// The pins that end, the one that ends first at the beginning; at most `limit` of them.
    pub(crate) fn ending_pins(&self, limit: usize) -> Vec<Arc<Pin>> {
        self.read().ending_pins(limit)
    }

    /// The environment that an agent is in.
    pub(crate) fn environment_of(&self, agent: AgentId) -> Option<SeenEnvironment> {
        self.read().environment_of(agent)
    }

    /// The environments of the agents that may hold a stack, each once; `None` for agents without one.
    pub(crate) fn environments_holding(&self, stack: StackId) -> Vec<Option<SeenEnvironment>> {
        self.read().environments_holding(stack)
    }

    /// The stacks whose newest revision the agents of an environment follow.
    pub(crate) fn newest_in(&self, environment: &Name) -> BTreeMap<StackId, (Arc<Stack>, FrozenRevision)> {
        self.read().newest_in(environment)
    }

    /// Whether the policy matches this stack and agent. True if the policy fails, so that a failure never withdraws a stack.
    pub(crate) fn may_match(&self, stack: &Stack, agent: &Agent, direct: bool) -> bool {
        let owner = self.read().tenants().generator(stack.generator_id).cloned();
        decide::may_match(&*self.policy, owner.as_deref(), stack, agent, direct)
    }

    /// The stacks with an open assignment to an agent.
    pub(crate) fn open_of_agent(&self, agent: AgentId) -> Vec<StackId> {
        self.read().open_of_agent(agent)
    }

    /// Whether an agent still has to confirm the removal of a deleting stack; `None` if the stack is not being deleted.
    pub(crate) fn is_waited_for(&self, stack: StackId) -> Option<bool> {
        self.read().is_waited_for(stack)
    }

    /// The agents that serve a stack or may still hold it, with the state of each pair.
    pub(crate) fn pairs_of_stack(&self, stack: StackId) -> Vec<PairOf> {
        self.read().pairs_of_stack(stack)
    }
}
