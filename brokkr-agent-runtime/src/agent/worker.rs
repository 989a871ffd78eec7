//! The worker: reconciles the cluster with the target state.
//!
//! Stacks that are due together share a pass, and the lists that it makes. Passes over different stacks run concurrently,
//! so that a slow stack does not delay the others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::{AgentId, StackId, Timestamp};
use brokkr_core::protocol::{ControlPlane, ControlPlaneError, EntryAction, TargetEntry, TargetState};
use brokkr_reconcile::cluster::{Cluster, ClusterError};
use brokkr_reconcile::{Applier, ApplierError, HeldStack, Reason, StackOutcome};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::AgentConfig;
use super::backoff::asked_pause;
use super::desired::{desired, skipped_outcome};
use super::epoch::{Trust, TrustedEpoch};
use super::manifest_cache::ManifestCache;
use super::outbox::Outbox;
use super::probe::Probe;
use super::stack_state::StackState;

/// Stacks that are due within this time share a pass.
const BATCH_WINDOW: Duration = Duration::from_millis(200);
/// Interval between reports of all statuses, changed or not.
const FULL_STATUS: Duration = Duration::from_secs(3600);
/// How long a deployment object may be missing without a report, because a newer target state has replaced it.
const REPLACED: Duration = Duration::from_secs(10);
/// Interval between passes for retained objects, which belong to no stack of the target state.
const UPKEEP: Duration = Duration::from_secs(10);

type Passed = (Timestamp, Result<Vec<StackOutcome>, ApplierError>);

/// Dependencies of a worker.
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

/// Reconciles the cluster with the newest target state.
pub(super) struct Worker {
    tools: Tools,
    targets: watch::Receiver<Option<Arc<TargetState>>>,
    epoch: TrustedEpoch,
    manifests: ManifestCache,
    stacks: BTreeMap<StackId, StackState>,
    /// The last target state that the worker handled.
    current: Option<Arc<TargetState>>,
    /// When the worker first handled it.
    current_since: Instant,
    /// Held stacks without an entry at the last check; `None` if the worker must report all held stacks.
    reported_unlisted: Option<BTreeSet<StackId>>,
    failures: u32,
    /// The API server requested no request before this time.
    not_before: Instant,
    passes: JoinSet<Passed>,
    /// The stacks of each running pass.
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
            manifests: ManifestCache::default(),
            stacks: BTreeMap::new(),
            current: None,
            current_since: Instant::now(),
            reported_unlisted: None,
            failures: 0,
            not_before: Instant::now(),
            passes: JoinSet::new(),
            working: HashMap::new(),
            upkeep: Instant::now(),
        }
    }

    /// Works until stopped, then finishes the running passes.
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
                changed = self.tools.applier.changed() => {
                    self.worked_on(&changed).for_each(StackState::objects_changed);
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

    /// Records a failure that concerns all stacks. Returns when to retry.
    fn failed(&mut self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> Instant {
        self.failures += 1;
        self.tools.probe.passed(false);
        tracing::warn!(agent = %self.tools.agent, %error, failures = self.failures, "the pass failed, and the agent removed nothing");
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

    /// Starts a pass over the stacks that are due. Returns when to check again.
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
            self.stacks.values_mut().for_each(StackState::report_again);
            self.reported_unlisted = None;
        }
        let now = Instant::now() + BATCH_WINDOW;
        let is_due = |(_, stack): &(&StackId, &StackState)| stack.due <= now && !stack.is_worked_on();
        let due: BTreeSet<StackId> = self.stacks.iter().filter(is_due).map(|(id, _)| *id).collect();
        if due.is_empty() && now < self.upkeep {
            return Ok(self.next().min(idle));
        }
        let held = self.tools.applier.held().await?;
        self.report_held(&state, &held);
        if !self.tools.outbox.is_admitted() {
            // The broker must first accept this process for the agent and this cluster. Until then the agent writes
            // nothing.
            return Ok(idle);
        }
        let trust = self.epoch.trust(&state, !held.is_empty()).await?;
        if trust == Trust::Outdated {
            return Err("the broker serves a target state of an epoch that this agent has left".into());
        }
        self.tools.reached.send_replace(Some(state.clone()));
        let started_at = SystemClock.now();
        let entries = state.entries.iter().filter(|it| due.contains(&it.stack_id));
        let failed = self.manifests.fetch(&*self.tools.control_plane, entries).await;
        let mut is_away = false;
        for (entry, error) in
            failed.iter().flat_map(|(entries, error)| entries.iter().map(move |entry| (*entry, error)))
        {
            tracing::warn!(stack = %entry.stack_name, %error, "cannot fetch the manifests; the agent leaves the stack unchanged");
            match error {
                ControlPlaneError::Unreachable(_) | ControlPlaneError::NotReady { .. } => is_away = true,
                // The broker serves only what the newest target state lists, and that one is on its way.
                ControlPlaneError::NotFound if self.current_since.elapsed() < REPLACED => is_away = true,
                error => self.report(
                    &state,
                    &skipped_outcome(entry, Reason::ContentUnavailable, error.to_string()),
                    started_at,
                ),
            }
        }
        let (desired, over_budget) = desired(&state, &self.manifests, &held, trust == Trust::Full);
        for entry in over_budget.into_iter().filter(|it| due.contains(&it.stack_id)) {
            let message = "removals that no user ordered explicitly would remove more than half of the objects that this agent holds; to confirm, delete the stack or remove its target";
            self.report(&state, &skipped_outcome(entry, Reason::RemovalBudget, message.to_owned()), started_at);
        }
        // Stacks whose manifests are missing are due again soon.
        let again = if is_away { self.tools.config.retry_first } else { self.tools.config.interval };
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

    /// Returns when the next idle stack is due.
    fn next(&self) -> Instant {
        let free = self.stacks.values().filter(|stack| !stack.is_worked_on()).map(|stack| stack.due);
        free.chain([self.upkeep]).min().unwrap_or(self.upkeep)
    }

    fn worked_on(&mut self, due: &BTreeSet<StackId>) -> impl Iterator<Item = &mut StackState> {
        self.stacks.iter_mut().filter(|(id, _)| due.contains(id)).map(|(_, stack)| stack)
    }

    /// Records the result of a pass.
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
                        self.report(state, outcome, started_at);
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

    /// Records the outcome of a stack, and reports its report.
    fn report(&mut self, state: &TargetState, outcome: &StackOutcome, started_at: Timestamp) {
        let Some(stack) = self.stacks.get_mut(&outcome.stack_id) else {
            return;
        };
        tracing::debug!(?outcome, "reconciled a stack");
        if outcome.interrupted {
            tracing::info!(stack = %outcome.stack_id, "the pass was interrupted, because this process does not lead now");
            stack.interrupted();
            return;
        }
        let entry = state.entries.iter().find(|it| it.stack_id == outcome.stack_id);
        self.tools.probe.worked(outcome);
        if entry.is_some_and(|it| it.action == EntryAction::Hold) {
            if let Some(status) = stack.take_held(outcome, &self.tools.config) {
                self.tools.outbox.status(status);
            }
            return;
        }
        let report = stack.take(outcome, entry.and_then(|it| it.object_id), started_at, &self.tools.config);
        if let Some(event) = report.event {
            self.tools.outbox.event(event);
        }
        if let Some(status) = report.status {
            self.tools.outbox.status(status);
        }
    }

    /// Makes changed entries of the target state due, and drops stacks that it no longer contains.
    fn notice_changes(&mut self, state: &Arc<TargetState>) {
        if self.current.as_ref().is_some_and(|current| current.digest == state.digest) {
            return;
        }
        if self.current.as_ref().is_none_or(|current| current.epoch != state.epoch) {
            self.reported_unlisted = None;
        }
        let before: BTreeMap<StackId, &TargetEntry> =
            self.current.iter().flat_map(|it| &it.entries).map(|entry| (entry.stack_id, entry)).collect();
        for entry in &state.entries {
            let stack = self.stacks.entry(entry.stack_id).or_insert_with(|| StackState::new(entry.stack_id));
            if before.get(&entry.stack_id) != Some(&entry) {
                stack.goal_changed();
            }
        }
        self.stacks.retain(|id, _| state.entries.iter().any(|entry| entry.stack_id == *id));
        self.manifests.keep_only(state);
        self.current = Some(state.clone());
        self.current_since = Instant::now();
    }

    /// Reports the held stacks: at the start, for a new epoch, and when the set of held stacks without an entry changes.
    fn report_held(&mut self, state: &TargetState, held: &[HeldStack]) {
        let ids: BTreeSet<StackId> = held.iter().map(|it| it.stack_id).collect();
        let listed: BTreeSet<StackId> = state.entries.iter().map(|it| it.stack_id).collect();
        let strangers: BTreeSet<StackId> = ids.difference(&listed).copied().collect();
        let first = self.reported_unlisted.is_none();
        if first || (!strangers.is_empty() && self.reported_unlisted.as_ref() != Some(&strangers)) {
            self.tools.outbox.held(ids.into_iter().collect());
        }
        self.reported_unlisted = Some(strangers);
    }
}
