//! Making the cluster so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::cluster::Cluster;
use brokkr_core::model::{AgentId, Health, StackId, Timestamp};
use brokkr_core::protocol::{ControlPlane, ControlPlaneError, EntryAction, TargetEntry, TargetState};
use brokkr_core::reconcile::{Applier, Desired, DesiredStack, Goal, HeldStack, Progress, StackOutcome};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::AgentConfig;
use super::backoff::pause;
use super::contents::Contents;
use super::epoch::TrustedEpoch;
use super::outbox::Outbox;
use super::status::StackState;

/// Objects that unconfirmed removals may take in one pass, whatever is held.
const BUDGET_FLOOR: usize = 100;
/// How far apart stacks may be due and still be worked on together.
const TOGETHER: Duration = Duration::from_millis(200);
/// How often every status is told, changed or not.
const FULL_STATUS: Duration = Duration::from_secs(3600);

/// Makes the cluster what the newest target state says.
pub(super) struct Worker {
    control_plane: Arc<dyn ControlPlane>,
    applier: Arc<dyn Applier>,
    agent: AgentId,
    config: AgentConfig,
    outbox: Arc<Outbox>,
    targets: watch::Receiver<Option<Arc<TargetState>>>,
    epoch: TrustedEpoch,
    contents: Contents,
    stacks: BTreeMap<StackId, StackState>,
    /// What was worked on last, to see what is new.
    current: Option<Arc<TargetState>>,
    /// What was held without an entry when that was looked at last; absent when everything is to be told.
    told_strangers: Option<BTreeSet<StackId>>,
    failures: u32,
}

impl Worker {
    pub(super) fn new(
        control_plane: Arc<dyn ControlPlane>,
        cluster: Arc<dyn Cluster>,
        applier: Arc<dyn Applier>,
        agent: AgentId,
        config: AgentConfig,
        outbox: Arc<Outbox>,
        targets: watch::Receiver<Option<Arc<TargetState>>>,
    ) -> Self {
        let epoch = TrustedEpoch::new(cluster, config.namespace.clone(), agent);
        Self {
            control_plane,
            applier,
            agent,
            config,
            outbox,
            targets,
            epoch,
            contents: Contents::default(),
            stacks: BTreeMap::new(),
            current: None,
            told_strangers: None,
            failures: 0,
        }
    }

    /// Works until stopped; a pass that is under way then is finished.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut next = Instant::now();
        let mut full_status = Instant::now() + FULL_STATUS;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.targets.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(next) => {}
            }
            if self.outbox.is_superseded() {
                stop.cancelled().await;
                return;
            }
            next = match self.pass().await {
                Ok(next) => {
                    self.failures = 0;
                    next
                }
                Err(error) => {
                    self.failures += 1;
                    tracing::warn!(agent = %self.agent, %error, failures = self.failures, "pass failed; nothing was removed");
                    Instant::now() + pause(self.failures, self.config.retry_first, self.config.retry_max)
                }
            };
            if Instant::now() >= full_status {
                full_status = Instant::now() + FULL_STATUS;
                self.stacks.values().for_each(|stack| self.outbox.status(stack.status()));
            }
        }
    }

    /// One pass; tells when the next one is due.
    async fn pass(&mut self) -> Result<Instant, Box<dyn std::error::Error + Send + Sync>> {
        let idle = Instant::now() + self.config.interval;
        let Some(state) = self.targets.borrow_and_update().clone() else {
            return Ok(idle);
        };
        self.notice_changes(&state);
        if self.outbox.take_dropped() {
            self.stacks.values_mut().for_each(StackState::untold);
        }
        let held = self.applier.held().await?;
        let may_remove = self.epoch.trusts(&state, !held.is_empty()).await?;
        self.tell_held(&state, &held);

        // Stacks that are due at nearly the same time share a pass, and with it the lists that it makes.
        let now = Instant::now() + TOGETHER;
        let due: BTreeSet<StackId> = self.stacks.iter().filter(|(_, it)| it.due <= now).map(|(id, _)| *id).collect();
        let started_at = SystemClock.now();
        let entries = state.entries.iter().filter(|it| due.contains(&it.stack_id));
        let failed = self.contents.fetch(&*self.control_plane, entries).await;
        let mut away = false;
        for (entry, error) in &failed {
            tracing::warn!(stack = %entry.stack_name, %error, "cannot get the content; what is there stays");
            match error {
                ControlPlaneError::Unreachable(_) | ControlPlaneError::NotReady { .. } => away = true,
                error => self.tell(&state, &not_done(entry, "ContentUnavailable", error.to_string()), started_at),
            }
        }
        let (desired, over_budget) = self.desired(&state, &held, may_remove);
        for entry in over_budget.into_iter().filter(|it| due.contains(&it.stack_id)) {
            let message = "removals that nobody confirmed would take more than half of what is held";
            self.tell(&state, &not_done(entry, "RemovalBudget", message.to_owned()), started_at);
        }
        for outcome in self.applier.reconcile(&desired, &due).await? {
            self.tell(&state, &outcome, started_at);
        }
        // What could not be worked on for want of content is looked at again.
        let again = if away { self.config.retry_first } else { self.config.interval };
        for id in due {
            if let Some(stack) = self.stacks.get_mut(&id)
                && stack.due <= now
            {
                stack.due = now + again;
            }
        }
        Ok(self.stacks.values().map(|it| it.due).min().unwrap_or(idle).min(idle))
    }

    /// Remembers what came of a stack, and reports what is worth telling of it.
    fn tell(&mut self, state: &TargetState, outcome: &StackOutcome, started_at: Timestamp) {
        let Some(stack) = self.stacks.get_mut(&outcome.stack_id) else {
            return;
        };
        tracing::debug!(?outcome, "worked on a stack");
        let entry = state.entries.iter().find(|it| it.stack_id == outcome.stack_id);
        let news = stack.take(outcome, entry.and_then(|it| it.object_id), started_at, &self.config);
        if let Some(event) = news.event {
            self.outbox.event(event);
        }
        if let Some(status) = news.status {
            self.outbox.status(status);
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
            self.outbox.held(ids.into_iter().collect());
        }
        self.told_strangers = Some(strangers);
    }

    /// The whole target state in the applier's words, and the removals that are held back by the budget.
    fn desired<'s>(
        &self,
        state: &'s TargetState,
        held: &[HeldStack],
        may_remove: bool,
    ) -> (Desired, Vec<&'s TargetEntry>) {
        let objects = |id: StackId| held.iter().find(|it| it.stack_id == id).map_or(0, |it| it.objects);
        let is_unconfirmed = |it: &&TargetEntry| it.action == EntryAction::Remove && !it.confirmed;
        let unconfirmed: usize = state.entries.iter().filter(is_unconfirmed).map(|it| objects(it.stack_id)).sum();
        let total: usize = held.iter().map(|it| it.objects).sum();
        let within_budget = unconfirmed <= BUDGET_FLOOR.max(total / 2);
        let over_budget =
            if within_budget { Vec::new() } else { state.entries.iter().filter(is_unconfirmed).collect() };
        let goal = |entry: &TargetEntry| match entry.action {
            EntryAction::Remove if entry.confirmed || within_budget => Goal::Remove,
            EntryAction::Remove => Goal::Keep,
            EntryAction::Apply => match (self.contents.get(entry), entry.revision) {
                (Some(manifests), Some(revision)) => Goal::Apply { revision, manifests },
                _ => Goal::Keep,
            },
        };
        let stack = |entry: &TargetEntry| DesiredStack {
            stack_id: entry.stack_id,
            name: entry.stack_name.clone(),
            policies: entry.policies.clone(),
            depends_on: entry.depends_on.clone(),
            goal: goal(entry),
        };
        let at_hand = |entry: &TargetEntry| entry.action == EntryAction::Remove || self.contents.get(entry).is_some();
        let complete = state.entries.iter().all(at_hand);
        (Desired { stacks: state.entries.iter().map(stack).collect(), complete, may_remove }, over_budget)
    }
}

/// The outcome of an entry that the applier was not asked to work on.
fn not_done(entry: &TargetEntry, reason: &str, message: String) -> StackOutcome {
    StackOutcome {
        stack_id: entry.stack_id,
        revision: entry.revision,
        removal: entry.action == EntryAction::Remove,
        applied: false,
        progress: Progress::Failed { reason: reason.to_owned(), message, objects: Vec::new() },
        health: Health::Unknown,
        unhealthy: Vec::new(),
        retained: Vec::new(),
        corrected: Vec::new(),
        drifted: Vec::new(),
        contested: Vec::new(),
        writes: 0,
    }
}
