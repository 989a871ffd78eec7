//! Runs one controller on the broker that holds its lease.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokkr_core::model::{Change, Epoch, GeneratorId, Timestamp, limits};
use brokkr_core::store::Fence;
use futures::FutureExt as _;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::controller::contract::Controller;
use crate::controller::interest::Interest;
use crate::controller::lead::{Leadership, Term};
use crate::controller::pace::Pacer;
use crate::controller::queue::Queue;
use crate::controller::reads::Reads;
use crate::error::{BrokerError, BrokerResult};
use crate::metrics::ControllerMetrics;
use crate::operations::controllers::LEASES;
use crate::recent::controllers::ControllerState;
use crate::view::fold::Fold;

/// Time limit of one run: observing a key and executing its commands.
const RUN: Duration = Duration::from_secs(60);
/// Pause until a resting controller looks again whether it may run.
const REST: Duration = Duration::from_secs(1);
/// Pause until the look continues at which the queue was full.
const AGAIN: Duration = Duration::from_millis(100);

/// Under whose rights a controller reads and commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Principal {
    /// The broker itself.
    System,
    /// A generator: its own stacks, and the agents that are registered with it.
    Generator(GeneratorId),
}

/// What a run of one key led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Idle,
    Commanded,
    /// The pace does not allow the commands yet.
    Paced,
    Failed,
    Fenced,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Commanded => "commanded",
            Self::Paced => "paced",
            Self::Failed => "failed",
            Self::Fenced => "fenced",
        }
    }
}

struct Runner<C: Controller> {
    broker: Broker,
    controller: Arc<C>,
    interest: Interest<C::Key>,
    principal: Principal,
    leadership: Leadership,
    metrics: ControllerMetrics,
    /// The last epoch in which the controller was allowed to run.
    confirmed: Mutex<Option<Epoch>>,
    /// The last state that other brokers can read.
    noted: Mutex<ControllerState>,
}

/// The work of one term.
struct Work<K> {
    queue: Queue<K>,
    pacer: Option<Pacer>,
    /// Until when the pace allows no commands, once there were some.
    held_until: Option<Timestamp>,
    folds: Receiver<Arc<Fold>>,
    look_at: Instant,
}

/// Runs a controller whenever this broker holds its lease, until the broker stops.
pub(crate) async fn run<C: Controller>(broker: Broker, controller: Arc<C>, principal: Principal, lease: Duration) {
    let name = controller.name().to_owned();
    let (holder, stopping) = (broker.new_id(), broker.parts.stopping.clone());
    let runner = Runner {
        interest: controller.interest(),
        leadership: Leadership::new(broker.clone(), lease_of(&name), holder, lease),
        metrics: ControllerMetrics::new(&name),
        broker,
        controller,
        principal,
        confirmed: Mutex::new(None),
        noted: Mutex::new(ControllerState::default()),
    };
    let campaign = async {
        loop {
            if let Some(term) = runner.leadership.take().await {
                runner.serve(term).await;
            }
            tokio::time::sleep(runner.leadership.interval()).await;
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = campaign => {}
    }
    runner.resign();
    runner.leadership.release().await;
}

/// The name of a controller's lease.
fn lease_of(controller: &str) -> String {
    format!("{LEASES}{controller}")
}

impl<C: Controller> Runner<C> {
    fn name(&self) -> &str {
        self.controller.name()
    }

    fn update(&self, change: impl FnOnce(&mut ControllerState)) -> ControllerState {
        self.broker.parts.controllers.update(self.name(), change)
    }

    /// Serves a term: works and renews the lease until the lease is lost.
    async fn serve(&self, term: Term) {
        tracing::debug!(controller = self.name(), fencing = term.fence.fencing, "runs the controller");
        self.metrics.leads(true);
        let fence = term.fence.clone();
        tokio::select! {
            () = self.leadership.keep(term, || self.note()) => {}
            () = self.work(&fence) => {}
        }
        tracing::debug!(controller = self.name(), "no longer runs the controller");
        self.resign();
    }

    fn resign(&self) {
        self.metrics.leads(false);
        self.update(|state| *state = ControllerState::default());
    }

    /// Leaves the state for the other brokers, if it changed.
    async fn note(&self) {
        let state = self.update(|_| {});
        // The generation changes with every fold, and says nothing to people.
        let state = ControllerState { generation: Default::default(), is_busy: false, ..state };
        let changed = {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *noted, state.clone()) != state
        };
        if changed && let Ok(note) = serde_json::to_value(&state) {
            self.leadership.note(note).await;
        }
    }

    /// Works until a commit is refused because the lease is lost.
    async fn work(&self, fence: &Fence) {
        let view = &self.broker.parts.view;
        let mut work = Work {
            queue: Queue::new(),
            pacer: self.controller.pace().map(|pace| Pacer::new(pace, self.broker.now())),
            held_until: None,
            folds: view.subscribe(),
            look_at: Instant::now(),
        };
        let generation = view.token().generation();
        self.update(|state| *state = ControllerState { leads: true, generation, is_busy: true, ..Default::default() });
        self.note().await;
        loop {
            self.take_folds(&mut work);
            if let Some(reason) = self.rests().await {
                let before = self.update(|state| state.paused = Some(reason.to_owned()));
                tracing::debug!(controller = self.name(), reason, ?before, "the controller rests");
                tokio::time::sleep(REST).await;
                continue;
            }
            if Instant::now() >= work.look_at {
                let complete = work.queue.look(self.look(), self.broker.now());
                work.look_at = Instant::now() + if complete { self.interest.interval() } else { AGAIN };
            }
            let now = self.broker.now();
            work.queue.wake(now);
            let held = work.held_until.filter(|end| *end > now);
            if held.is_none()
                && let Some((key, since)) = work.queue.pop()
            {
                self.publish(&work, None, true);
                self.metrics.waited(now.since(since));
                match self.run_key(&mut work, fence, key.clone()).await {
                    Outcome::Fenced => return,
                    Outcome::Paced => work.queue.put_back(key, since),
                    Outcome::Idle | Outcome::Commanded | Outcome::Failed => {}
                }
                continue;
            }
            let next = held.or(work.queue.next_wake());
            self.publish(&work, next, false);
            self.wait(&mut work, next).await;
        }
    }

    fn publish(&self, work: &Work<C::Key>, next: Option<Timestamp>, is_busy: bool) {
        let (queued, since) = (work.queue.len(), work.queue.oldest());
        self.metrics.queued(queued);
        self.update(|state| {
            state.paused = None;
            (state.queued, state.waiting_since, state.is_busy) = (queued, since, is_busy);
            state.next_wake_at = next.or(state.next_wake_at.filter(|_| is_busy));
        });
    }

    /// Waits until there may be something to do.
    async fn wait(&self, work: &mut Work<C::Key>, next: Option<Timestamp>) {
        let sleep = async {
            match next {
                Some(at) => self.broker.parts.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let fold = tokio::select! {
            fold = work.folds.recv() => fold,
            () = sleep => return,
            () = tokio::time::sleep_until(work.look_at) => return,
        };
        match fold {
            Ok(fold) => self.take_fold(work, &fold),
            Err(RecvError::Lagged(_)) => work.look_at = Instant::now(),
            // The view outlives the controller.
            Err(RecvError::Closed) => {}
        }
    }

    /// Takes the folds that have come meanwhile.
    fn take_folds(&self, work: &mut Work<C::Key>) {
        loop {
            match work.folds.try_recv() {
                Ok(fold) => self.take_fold(work, &fold),
                Err(TryRecvError::Lagged(_)) => work.look_at = Instant::now(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn take_fold(&self, work: &mut Work<C::Key>, fold: &Fold) {
        if fold.is_reset {
            work.look_at = Instant::now();
        }
        let now = self.broker.now();
        let changes: Vec<&Change> = match self.principal {
            Principal::System => fold.changes.iter().collect(),
            Principal::Generator(id) => fold.seen_by(id).collect(),
        };
        let mut has_room = true;
        for key in changes.into_iter().flat_map(|change| self.interest.of_change(change)) {
            has_room &= work.queue.push(key, now);
        }
        if !has_room {
            work.look_at = work.look_at.min(Instant::now() + AGAIN);
        }
        self.update(|state| {
            state.generation = fold.generation;
            state.is_busy = true;
        });
    }

    /// The keys of all present entities.
    fn look(&self) -> BTreeSet<C::Key> {
        let mut keys = self.interest.own();
        let (stacks, agents, api_keys) = self.interest.kinds();
        let view = &self.broker.parts.view;
        let own = |owner| matches!(self.principal, Principal::System) || self.principal == Principal::Generator(owner);
        if stacks {
            view.each_stack(|stack| {
                if stack.deleted_at.is_none() && own(stack.generator_id) {
                    keys.extend(self.interest.of_stack(stack));
                }
            });
        }
        if agents {
            view.each_agent(|agent| {
                if self.principal == Principal::System || agent.registrations.keys().any(|id| own(*id)) {
                    keys.extend(self.interest.of_agent(agent));
                }
            });
        }
        if api_keys && self.principal == Principal::System {
            view.each_key(|key| keys.extend(self.interest.of_key(key)));
        }
        keys
    }

    /// Why controllers rest now; `None` if they may run.
    async fn rests(&self) -> Option<&'static str> {
        let parts = &self.broker.parts;
        if parts.view.check_fresh().is_err() {
            return Some("the fleet view is stale");
        }
        if parts.store_clock.as_ref().is_some_and(|clock| clock.has_jumped()) {
            return Some("the store's time jumped");
        }
        let epoch = self.broker.epoch();
        if *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) == Some(epoch) {
            return None;
        }
        match self.broker.controllers_may_run().await {
            Ok(true) => {
                *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(epoch);
                None
            }
            Ok(false) => Some("an admin has to confirm the new epoch"),
            Err(_) => Some("the store does not answer"),
        }
    }

    fn actor(&self, fence: &Fence) -> BrokerResult<Actor> {
        let actor = match self.principal {
            Principal::System => self.broker.system_actor(),
            Principal::Generator(id) => self.broker.generator_actor(id)?,
        };
        Ok(actor.fenced(fence.clone()))
    }

    /// Observes one key, decides, and executes the commands.
    async fn run_key(&self, work: &mut Work<C::Key>, fence: &Fence, key: C::Key) -> Outcome {
        let began = Instant::now();
        let run = AssertUnwindSafe(self.observe_and_act(work.pacer.as_mut(), fence, &key)).catch_unwind();
        let result = match tokio::time::timeout(RUN, run).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(BrokerError::Internal("the controller panicked".into())),
            Err(_) => Err(BrokerError::Internal("the run took longer than 60 s".into())),
        };
        let now = self.broker.now();
        let (outcome, error) = match result {
            Ok((Outcome::Paced, next)) => {
                work.held_until = next;
                return Outcome::Paced;
            }
            Ok((outcome, wake_at)) => {
                work.queue.done(key, wake_at);
                (outcome, None)
            }
            Err(BrokerError::Fenced(_)) => (Outcome::Fenced, None),
            Err(error) => {
                let next = work.queue.failed(key.clone(), now);
                tracing::warn!(controller = self.name(), ?key, %error, %next, "a run failed; trying again");
                (Outcome::Failed, Some(cause(&error)))
            }
        };
        self.metrics.ran(outcome.name(), began.elapsed());
        self.update(|state| {
            state.last_run_at = Some(now);
            state.last_error = error;
        });
        outcome
    }

    async fn observe_and_act(
        &self,
        pacer: Option<&mut Pacer>,
        fence: &Fence,
        key: &C::Key,
    ) -> BrokerResult<(Outcome, Option<Timestamp>)> {
        let actor = self.actor(fence)?;
        let reads = Reads::new(self.broker.clone(), actor.clone());
        let Some(facts) = self.controller.observe(&reads, key).await? else {
            return Ok((Outcome::Idle, None));
        };
        let now = self.broker.now();
        let (commands, mut wake_at) = self.controller.decide(&facts, now).into_parts();
        if commands.is_empty() {
            return Ok((Outcome::Idle, wake_at));
        }
        if let Some(pacer) = pacer {
            if pacer.next() > now {
                return Ok((Outcome::Paced, Some(pacer.next())));
            }
            pacer.take(now);
        }
        if commands.len() > limits::PLAN_COMMANDS {
            wake_at = Some(now);
        }
        for command in commands.into_iter().take(limits::PLAN_COMMANDS) {
            command.execute(&self.broker, &actor).await?;
        }
        Ok((Outcome::Commanded, wake_at))
    }
}

/// The error with its cause, for admins.
fn cause(error: &BrokerError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let text = format!("{error}{source}");
    text.chars().take(limits::SHORT_TEXT_CHARACTERS).collect()
}
