//! Making the cluster so.
//!
//! Stacks that are due at the same time share a pass, and with it the lists that it makes. Passes run beside each other,
//! each on stacks of its own: one that takes its time holds up nobody else's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::{AgentId, StackId, Timestamp};
use brokkr_core::protocol::{ControlPlane, ControlPlaneError, TargetEntry, TargetState};
use brokkr_reconcile::cluster::{Cluster, ClusterError};
use brokkr_reconcile::{Applier, ApplierError, HeldStack, Reason, StackOutcome};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::AgentConfig;
use super::backoff::asked_pause;
use super::contents::Contents;
use super::epoch::{Trust, TrustedEpoch};
use super::outbox::Outbox;
use super::probe::Probe;
use super::status::StackState;
use super::target::{desired, not_done};

/// How far apart stacks may be due and still be worked on together.
const TOGETHER: Duration = Duration::from_millis(200);
/// How often every status is told, changed or not.
const FULL_STATUS: Duration = Duration::from_secs(3600);
/// How often what belongs to no stack any more is looked at.
const UPKEEP: Duration = Duration::from_secs(10);

type Passed = (Timestamp, Result<Vec<StackOutcome>, ApplierError>);

/// What a worker works with.
pub(super) struct Tools {
    pub(super) control_plane: Arc<dyn ControlPlane>,
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) applier: Arc<dyn Applier>,
    pub(super) agent: AgentId,
    pub(super) config: AgentConfig,
    pub(super) outbox: Arc<Outbox>,
    pub(super) probe: Probe,
    pub(super) reached: watch::Sender<Option<Arc<TargetState>>>,
}

/// Makes the cluster what the newest target state says.
pub(super) struct Worker {
    tools: Tools,
    targets: watch::Receiver<Option<Arc<TargetState>>>,
    epoch: TrustedEpoch,
    contents: Contents,
    stacks: BTreeMap<StackId, StackState>,
    /// What was worked on last, to see what is new.
    current: Option<Arc<TargetState>>,
    /// What was held without an entry when that was looked at last; absent when everything is to be told.
    told_strangers: Option<BTreeSet<StackId>>,
    failures: u32,
    /// When the API server wants to be asked again at the earliest.
    not_before: Instant,
    passes: JoinSet<Passed>,
    /// The stacks of each pass that runs.
    working: HashMap<Id, BTreeSet<StackId>>,
    upkeep: Instant,
}

impl Worker {
    pub(super) fn new(tools: Tools, targets: watch::Receiver<Option<Arc<TargetState>>>) -> Self {
        let epoch = TrustedEpoch::new(tools.cluster.clone(), tools.config.namespace.clone(), tools.agent);
        Self {
            tools,
            targets,
            epoch,
            contents: Contents::default(),
            stacks: BTreeMap::new(),
            current: None,
            told_strangers: None,
            failures: 0,
            not_before: Instant::now(),
            passes: JoinSet::new(),
            working: HashMap::new(),
            upkeep: Instant::now(),
        }
    }

    /// Works until stopped; passes that are under way then are finished.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut next = Instant::now();
        let mut full_status = Instant::now() + FULL_STATUS;
        let outbox = self.tools.outbox.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                changed = self.targets.changed() => if changed.is_err() { break },
                () = tokio::time::sleep_until(next) => {}
                () = outbox.heard.notified() => {}
                Some(passed) = self.passes.join_next_with_id() => self.settle(passed),
                stirred = self.tools.applier.changed() => {
                    self.worked_on(&stirred).for_each(StackState::stirred);
                }
            }
            if outbox.is_superseded() {
                self.passes.shutdown().await;
                stop.cancelled().await;
                return;
            }
            next = match self.start_pass().await {
                Ok(next) => next,
                Err(error) => self.failed(&*error),
            };
            if Instant::now() >= full_status {
                full_status = Instant::now() + FULL_STATUS;
                self.stacks.values().for_each(|stack| outbox.status(stack.status()));
            }
        }
        while let Some(passed) = self.passes.join_next_with_id().await {
            self.settle(passed);
        }
    }

    /// When to try again after something failed that concerns all stacks.
    fn failed(&mut self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> Instant {
        self.failures += 1;
        self.tools.probe.passed(false);
        tracing::warn!(agent = %self.tools.agent, %error, failures = self.failures, "pass failed; nothing was removed");
        let asked = match (error.downcast_ref::<ApplierError>(), error.downcast_ref::<ClusterError>()) {
            (Some(error), _) => error.retry_after(),
            (None, error) => error.and_then(ClusterError::retry_after),
        };
        let config = &self.tools.config;
        let again = Instant::now() + asked_pause(asked, self.failures, config.retry_first, config.retry_max);
        if asked.is_some() {
            self.not_before = again;
        }
        again
    }

    /// Starts working on what is due; tells when to look again.
    async fn start_pass(&mut self) -> Result<Instant, Box<dyn std::error::Error + Send + Sync>> {
        if Instant::now() < self.not_before {
            return Ok(self.not_before);
        }
        let idle = Instant::now() + self.tools.config.interval.min(UPKEEP);
        let Some(state) = self.targets.borrow_and_update().clone() else {
            return Ok(idle);
        };
        self.notice_changes(&state);
        if self.tools.outbox.take_dropped() {
            self.stacks.values_mut().for_each(StackState::untold);
            self.told_strangers = None;
        }
        let now = Instant::now() + TOGETHER;
        let is_due = |(_, stack): &(&StackId, &StackState)| stack.due <= now && !stack.is_worked_on();
        let due: BTreeSet<StackId> = self.stacks.iter().filter(is_due).map(|(id, _)| *id).collect();
        if due.is_empty() && now < self.upkeep {
            return Ok(self.next().min(idle));
        }
        let held = self.tools.applier.held().await?;
        self.tell_held(&state, &held);
        if !self.tools.outbox.is_admitted() {
            // Before the broker has accepted that this process speaks for the agent, in this cluster, nothing is written.
            return Ok(idle);
        }
        let trust = self.epoch.trust(&state, !held.is_empty()).await?;
        if trust == Trust::None {
            return Err("the broker tells a history that was left for another one".into());
        }
        self.tools.reached.send_replace(Some(state.clone()));
        let started_at = SystemClock.now();
        let entries = state.entries.iter().filter(|it| due.contains(&it.stack_id));
        let failed = self.contents.fetch(&*self.tools.control_plane, entries).await;
        let mut away = false;
        for (entry, error) in &failed {
            tracing::warn!(stack = %entry.stack_name, %error, "cannot get the content; what is there stays");
            match error {
                ControlPlaneError::Unreachable(_) | ControlPlaneError::NotReady { .. } => away = true,
                error => self.tell(&state, &not_done(entry, Reason::ContentUnavailable, error.to_string()), started_at),
            }
        }
        let (desired, over_budget) = desired(&state, &self.contents, &held, trust == Trust::Full);
        for entry in over_budget.into_iter().filter(|it| due.contains(&it.stack_id)) {
            let message = "removals that nobody confirmed would take more than half of what is held";
            self.tell(&state, &not_done(entry, Reason::RemovalBudget, message.to_owned()), started_at);
        }
        // What could not be worked on for want of content is looked at again.
        let again = if away { self.tools.config.retry_first } else { self.tools.config.interval };
        for id in &due {
            if let Some(stack) = self.stacks.get_mut(id) {
                stack.begins(now + again);
            }
        }
        let (applier, stacks) = (self.tools.applier.clone(), due.clone());
        let pass = self.passes.spawn(async move { (started_at, applier.reconcile(&desired, &stacks).await) });
        self.working.insert(pass.id(), due);
        self.upkeep = Instant::now() + UPKEEP;
        Ok(self.next().min(idle))
    }

    /// When the next stack is due that nobody works on.
    fn next(&self) -> Instant {
        let free = self.stacks.values().filter(|stack| !stack.is_worked_on()).map(|stack| stack.due);
        free.chain([self.upkeep]).min().unwrap_or(self.upkeep)
    }

    fn worked_on(&mut self, due: &BTreeSet<StackId>) -> impl Iterator<Item = &mut StackState> {
        self.stacks.iter_mut().filter(|(id, _)| due.contains(id)).map(|(_, stack)| stack)
    }

    /// Takes over what came of a pass.
    fn settle(&mut self, passed: Result<(Id, Passed), JoinError>) {
        let (id, result) = match passed {
            Ok((id, passed)) => (id, Ok(passed)),
            Err(error) => (error.id(), Err(error)),
        };
        let due = self.working.remove(&id).unwrap_or_default();
        let state = self.current.clone();
        let error: Box<dyn std::error::Error + Send + Sync> = match result {
            Ok((started_at, Ok(outcomes))) => {
                self.failures = 0;
                self.tools.probe.passed(true);
                for outcome in &outcomes {
                    if let Some(state) = &state {
                        self.tell(state, outcome, started_at);
                    }
                }
                self.worked_on(&due).for_each(StackState::ends);
                return;
            }
            Ok((_, Err(error))) => error.into(),
            Err(error) => error.into(),
        };
        let again = self.failed(&*error);
        for stack in self.worked_on(&due) {
            stack.due = again;
            stack.ends();
        }
    }

    /// Remembers what came of a stack, and reports what is worth telling of it.
    fn tell(&mut self, state: &TargetState, outcome: &StackOutcome, started_at: Timestamp) {
        let Some(stack) = self.stacks.get_mut(&outcome.stack_id) else {
            return;
        };
        tracing::debug!(?outcome, "worked on a stack");
        if outcome.interrupted {
            tracing::info!(stack = %outcome.stack_id, "the pass was interrupted: this process does not lead now");
            stack.interrupted();
            return;
        }
        let entry = state.entries.iter().find(|it| it.stack_id == outcome.stack_id);
        self.tools.probe.worked(outcome);
        let news = stack.take(outcome, entry.and_then(|it| it.object_id), started_at, &self.tools.config);
        if let Some(event) = news.event {
            self.tools.outbox.event(event);
        }
        if let Some(status) = news.status {
            self.tools.outbox.status(status);
        }
    }

    /// Makes due what is new in the target state, and forgets what is no longer in it.
    fn notice_changes(&mut self, state: &Arc<TargetState>) {
        if self.current.as_ref().is_some_and(|current| current.digest == state.digest) {
            return;
        }
        if self.current.as_ref().is_none_or(|current| current.epoch != state.epoch) {
            self.told_strangers = None;
        }
        let before: BTreeMap<StackId, &TargetEntry> =
            self.current.iter().flat_map(|it| &it.entries).map(|entry| (entry.stack_id, entry)).collect();
        for entry in &state.entries {
            let stack = self.stacks.entry(entry.stack_id).or_insert_with(|| StackState::new(entry.stack_id));
            if before.get(&entry.stack_id) != Some(&entry) {
                stack.wanted_anew();
            }
        }
        self.stacks.retain(|id, _| state.entries.iter().any(|entry| entry.stack_id == *id));
        self.contents.keep_only(state);
        self.current = Some(state.clone());
    }

    /// Tells the broker what is held: at the start, on a new epoch, and when something has no entry.
    fn tell_held(&mut self, state: &TargetState, held: &[HeldStack]) {
        let ids: BTreeSet<StackId> = held.iter().map(|it| it.stack_id).collect();
        let listed: BTreeSet<StackId> = state.entries.iter().map(|it| it.stack_id).collect();
        let strangers: BTreeSet<StackId> = ids.difference(&listed).copied().collect();
        let first = self.told_strangers.is_none();
        if first || (!strangers.is_empty() && self.told_strangers.as_ref() != Some(&strangers)) {
            self.tools.outbox.held(ids.into_iter().collect());
        }
        self.told_strangers = Some(strangers);
    }
}
