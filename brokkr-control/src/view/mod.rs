//! The fleet view: a fold of all committed changes, in memory, that answers agents without a query.

mod agent_entry;
mod stack_entry;
mod state;

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

pub(crate) use agent_entry::{Pair, Wanted};
use brokkr_core::model::{
    Agent, AgentId, AgentStatus, ApiKey, Change, DeploymentObject, Epoch, Generation, GeneratorId, KeyId, Stack,
    StackId, Timestamp, limits,
};
use brokkr_core::store::{FeedPosition, ViewToken};
use brokkr_core::targeting::TargetingPolicy;
pub(crate) use state::PlacedPair;
use state::ViewState;

use crate::error::BrokerError;
use crate::error::BrokerResult;

/// How long a replica may take to read what another one knows already.
pub(crate) const CATCH_UP: Duration = Duration::from_secs(2);
/// How long a caller waits for the view to contain its own commit before it is answered anyway: the commit
/// itself is durable.
const OWN_COMMIT_WAIT: Duration = Duration::from_secs(1);

/// The fleet view. One task writes it (the follower); everybody reads it.
pub(crate) struct FleetView {
    state: RwLock<ViewState>,
    /// Moves with every fold.
    folded: watch::Sender<u64>,
    /// Wakes the follower before its time.
    asked: Notify,
}

/// What a poll needs to know, taken under one lock: for each is a price that polls pay.
pub(crate) struct PollView {
    /// `None` when there is no such agent.
    pub(crate) agent: Option<(AgentStatus, Arc<Wanted>)>,
    /// When the presented key ends, if it does; `None` when it is not valid any more.
    pub(crate) key_ends: Option<Option<Timestamp>>,
    pub(crate) generation: Generation,
    epoch: Epoch,
    read_at: Instant,
}

impl PollView {
    /// Whether the view has at least this generation, as [`FleetView::at_least`] waits for.
    pub(crate) fn has(&self, generation: Generation, epoch: Option<Epoch>) -> bool {
        is_at_least((self.generation, self.epoch), generation, epoch)
    }

    /// Refuses when the view is older than what may be answered from.
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
    /// An empty view; it answers nothing before the first [`reset`](Self::reset).
    pub(crate) fn new(policy: Arc<dyn TargetingPolicy>, began: Instant) -> Self {
        Self { state: RwLock::new(ViewState::new(policy, began)), folded: watch::Sender::new(0), asked: Notify::new() }
    }

    // The state is only changed by `fold`, which does not panic on any input; a poisoned lock would mean a
    // defect, and answering from what is there is no worse than not answering.
    fn read(&self) -> RwLockReadGuard<'_, ViewState> {
        self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, ViewState> {
        self.state.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Folds a snapshot in place of everything known.
    pub(crate) fn reset(&self, entities: Vec<Change>, token: ViewToken, began: Instant) {
        let mut state = self.write();
        state.clear(&entities);
        state.fold(entities, token, began);
        drop(state);
        self.folded.send_modify(|count| *count += 1);
    }

    /// Folds what was read from the store by a read that began at `began`.
    pub(crate) fn fold(&self, entities: Vec<Change>, token: ViewToken, began: Instant) {
        self.write().fold(entities, token, began);
        self.folded.send_modify(|count| *count += 1);
    }

    /// Moves with every fold from now on.
    pub(crate) fn folds(&self) -> watch::Receiver<u64> {
        self.folded.subscribe()
    }

    pub(crate) fn token(&self) -> ViewToken {
        self.read().token().clone()
    }

    /// How long ago the last successful read of the store began.
    pub(crate) fn age(&self) -> Duration {
        self.read_at().elapsed()
    }

    fn read_at(&self) -> Instant {
        self.read().read_at()
    }

    /// Agents and stacks.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.read().counts()
    }

    /// Waits for a read of the store that begins from now on; `Stale` when it does not come in time.
    pub(crate) async fn refreshed(&self, within: Duration) -> BrokerResult<()> {
        let asked = Instant::now();
        self.asked.notify_one();
        self.folded_until(within, || self.read_at() >= asked).await
    }

    /// Waits until enough was folded; `Stale` when that takes too long.
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

    /// Resolves when somebody waits for a read.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Refuses when the view is older than what may be answered from.
    pub(crate) fn check_fresh(&self) -> BrokerResult<()> {
        check_fresh(self.read_at())
    }

    /// Waits until a commit is part of the view, within a bound.
    pub(crate) async fn caught_up(&self, position: FeedPosition) {
        let contains = || self.read().token().contains(position);
        if self.folded_until(OWN_COMMIT_WAIT, contains).await.is_err() {
            tracing::warn!("the view did not take a commit in within a second");
        }
    }

    /// The history that the view belongs to.
    pub(crate) fn epoch(&self) -> Epoch {
        self.read().token().epoch()
    }

    /// Waits until the view has at least this generation; `Stale` when it does not get there in time. One of another history
    /// says nothing about this one.
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

    /// A key that is not revoked. `Stale` when the view may not know of a revocation.
    pub(crate) fn key(&self, short_id: &str) -> BrokerResult<Option<Arc<ApiKey>>> {
        let state = self.read();
        check_fresh(state.read_at())?;
        Ok(state.key(short_id).cloned())
    }

    pub(crate) fn agent_status(&self, id: AgentId) -> Option<AgentStatus> {
        self.read().agent(id).map(|entry| entry.agent.status)
    }

    pub(crate) fn agent(&self, id: AgentId) -> Option<Arc<Agent>> {
        self.read().agent(id).map(|entry| entry.agent.clone())
    }

    pub(crate) fn has_generator(&self, id: GeneratorId) -> bool {
        self.read().has_generator(id)
    }

    pub(crate) fn stack(&self, id: StackId) -> Option<Arc<Stack>> {
        self.read().stack(id)
    }

    /// A stack and its newest deployment object, as far as the view has them.
    pub(crate) fn stack_with_object(&self, id: StackId) -> Option<(Arc<Stack>, Option<Arc<DeploymentObject>>)> {
        self.read().stack_with_object(id)
    }

    /// The stacks that are listed for an agent: what it may read.
    pub(crate) fn stacks_of(&self, id: AgentId) -> Arc<BTreeSet<StackId>> {
        self.read().wanted(id).map(|(_, wanted)| wanted.stacks.clone()).unwrap_or_default()
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

    /// Moves when something of this agent's may have changed.
    pub(crate) fn news_of(&self, id: AgentId) -> Option<watch::Receiver<u64>> {
        self.read().agent(id).map(|entry| entry.changed.subscribe())
    }

    /// What is known of one pair.
    pub(crate) fn pair(&self, stack: StackId, agent: AgentId) -> Option<Pair> {
        self.read().agent(agent)?.pairs.get(&stack).copied()
    }

    /// Whether the policy matches the two as they are given, or cannot tell: then nothing is withdrawn because of it.
    pub(crate) fn may_match(&self, stack: &Stack, agent: &Agent, direct: bool) -> bool {
        self.read().may_match(stack, agent, direct)
    }

    /// Open assignments of an agent, or of a stack.
    pub(crate) fn open_of_agent(&self, agent: AgentId) -> Vec<StackId> {
        self.read().open_of_agent(agent)
    }

    /// Stacks that are being deleted and that no agent is waited for any more.
    pub(crate) fn removable(&self, limit: usize) -> Vec<StackId> {
        self.read().removable(limit)
    }

    /// The agents that serve a stack now or may still hold it, with their state.
    pub(crate) fn pairs_of_stack(&self, stack: StackId) -> Vec<(Arc<Agent>, Pair)> {
        self.read().pairs_of_stack(stack)
    }

    /// Every agent, evaluated for a stack.
    pub(crate) fn place_stack(&self, stack: StackId) -> Vec<PlacedPair> {
        self.read().place_stack(stack)
    }

    /// Every stack, evaluated for an agent.
    pub(crate) fn place_agent(&self, agent: AgentId) -> Vec<PlacedPair> {
        self.read().place_agent(agent)
    }
}
