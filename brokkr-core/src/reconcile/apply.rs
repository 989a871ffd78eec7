//! Applying one stack: intents first, then foundations, then the rest.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures::FutureExt as _;

use super::applier::DesiredStack;
use super::claims::Claims;
use super::depend;
use super::fights::Fights;
use super::health::ObjectHealth;
use super::inventory::{Entry, EntryState, Inventory, Keeper};
use super::live::Live;
use super::local_limits::LocalLimits;
use super::observe::{CONCURRENCY, Observer, concurrently};
use super::order::{apply_rank, is_crd, is_foundation, is_namespace};
use super::outcome::ObjectProblem;
use super::prepare::{Objects, Prepared};
use super::step::{Circumstances, Step, step};
use super::write::{Executed, WriteError};
use crate::cluster::{Cluster, ClusterError, ClusterResult, Discovery};
use crate::model::{AgentId, ObjectRef, Validate};

/// Writes of one kind that the API may leave unanswered before the rest of that kind waits for the next pass. By kind, since it
/// may be a webhook that does not answer.
const PATIENCE: usize = 4;
/// The pauses before what is not found is tried again within a pass.
const VISIBLE_AFTER: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(250), Duration::from_millis(500)];

/// What working on a stack needs.
pub(super) struct Work<'a> {
    pub(super) cluster: &'a dyn Cluster,
    pub(super) agent: AgentId,
    pub(super) manager: &'a str,
    pub(super) keeper: &'a Keeper,
    pub(super) observer: &'a Observer<'a>,
    pub(super) limits: &'a LocalLimits,
    pub(super) claims: &'a Mutex<Claims>,
    pub(super) fights: &'a Mutex<Fights>,
    pub(super) discovery: &'a Discovery,
    /// What the autoscalers among everything that is wanted target.
    pub(super) autoscaled: &'a BTreeSet<ObjectRef>,
}

/// What came of applying a stack so far.
#[derive(Debug, Default)]
pub(super) struct Applying {
    pub(super) problems: Vec<ObjectProblem>,
    /// What others had changed or deleted and is right again.
    pub(super) corrected: Vec<ObjectRef>,
    /// What others changed or deleted and stays so.
    pub(super) drifted: Vec<ObjectRef>,
    /// What others change again and again, and is left to them for a while.
    pub(super) contested: Vec<ObjectRef>,
    /// How the objects fare that are there.
    pub(super) health: HashMap<Arc<ObjectRef>, ObjectHealth>,
    pub(super) writes: usize,
    /// Whether a custom resource definition was written, so that discovery is out of date.
    pub(super) defined: bool,
}

impl Work<'_> {
    pub(super) fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn fights(&self) -> MutexGuard<'_, Fights> {
        self.fights.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Keeps the inventory, and lets the other stacks see what is held now.
    pub(super) async fn keep(&self, inventory: &mut Inventory) -> ClusterResult<()> {
        self.keeper.save(self.cluster, inventory).await?;
        self.claims().set_held(inventory);
        Ok(())
    }

    /// Applies some of a stack's objects. An error means that the inventory could not be kept: then nothing more is
    /// written.
    pub(super) async fn apply(
        &self,
        stack: &DesiredStack,
        objects: &[Prepared],
        wanted: &Objects,
        inventory: &mut Inventory,
        result: &mut Applying,
    ) -> ClusterResult<()> {
        let (mut steps, failed) = self.plan(stack, objects, inventory, result).await;
        result.problems.extend(failed);
        self.give_way(&mut steps, result);
        self.record_intents(&steps, inventory, result).await?;
        let mut steps = self.validated(stack, steps, inventory, result).await;
        steps.sort_by_key(|(prepared, _)| (!is_foundation(&prepared.object), apply_rank(&prepared.object)));
        let border = steps.partition_point(|(prepared, _)| is_foundation(&prepared.object));
        let mut rest = steps.split_off(border);
        self.execute_all(stack, steps, inventory, result).await;
        while !rest.is_empty() {
            let (due, left) = depend::due(rest, result);
            if due.is_empty() {
                result.problems.extend(depend::explain(&left, wanted, result));
                break;
            }
            self.execute_all(stack, due, inventory, result).await;
            rest = left;
        }
        self.keep(inventory).await?;
        Ok(())
    }

    /// Decides about each object, and notes how those fare that are there.
    pub(super) async fn plan<'p>(
        &self,
        stack: &DesiredStack,
        objects: &'p [Prepared],
        inventory: &Inventory,
        result: &mut Applying,
    ) -> (Vec<(&'p Prepared, Step)>, Vec<ObjectProblem>) {
        let (live, mut failed) = self.observer.observe(objects).await;
        let confined = self.limits.namespaces.is_some();
        // Who works in some namespaces only is rarely allowed to read a Namespace itself.
        let unseen = |object: &ObjectRef, error: &ClusterError| {
            confined && is_namespace(object) && matches!(error, ClusterError::Forbidden(_))
        };
        failed.retain(|object, error| !unseen(object, error));
        let problems = failed.iter().map(|(object, error)| ObjectProblem::api(object.clone(), error)).collect();
        result.health.extend(live.iter().map(|(object, live)| (object.clone(), live.health.clone())));
        let seen = objects.iter().filter(|it| !failed.contains_key(&it.object));
        let steps = seen.map(|prepared| (prepared, self.step(stack, prepared, inventory, &live))).collect();
        (steps, problems)
    }

    fn step(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        inventory: &Inventory,
        seen: &HashMap<Arc<ObjectRef>, Arc<Live>>,
    ) -> Step {
        let live = seen.get(&prepared.object).map(|it| &**it);
        if self.limits.namespaces.is_some() && is_namespace(&prepared.object) {
            return Step::Use { uid: live.map(|it| it.uid.clone()).unwrap_or_default() };
        }
        let claims = self.claims();
        let circumstances = Circumstances {
            agent: self.agent,
            stack: stack.stack_id,
            policies: &stack.policies,
            own_namespace: self.keeper.namespace(),
            holder: live.and_then(|it| it.made_for(self.agent)).filter(|it| claims.made(*it, &prepared.object)),
            owner: claims.owner(&prepared.object),
        };
        step(prepared, inventory.entries.get(&prepared.object), live, &circumstances)
    }

    /// Leaves alone for a while what somebody else changes again and again.
    fn give_way(&self, steps: &mut [(&Prepared, Step)], result: &mut Applying) {
        let fights = self.fights();
        for (prepared, step) in steps {
            let corrects = matches!(step, Step::Correct(_) | Step::Create { drifted: true });
            if corrects && !fights.may_correct(&prepared.object, Instant::now()) {
                result.contested.push((*prepared.object).clone());
                *step = Step::ReportDrift;
            }
        }
    }

    /// Writes down what is about to be created, before it is.
    async fn record_intents(
        &self,
        steps: &[(&Prepared, Step)],
        inventory: &mut Inventory,
        result: &mut Applying,
    ) -> ClusterResult<()> {
        for (prepared, step) in steps {
            let object = &prepared.object;
            match step {
                Step::Create { .. } => {
                    // The one that we had is gone: the next one has another UID.
                    let entry =
                        inventory.entries.entry(object.clone()).or_insert_with(|| Entry::new(EntryState::Intent));
                    entry.uid = None;
                    if entry.state == EntryState::Used {
                        entry.state = EntryState::Intent;
                    }
                }
                Step::Take { .. } => {
                    inventory.entries.entry(object.clone()).or_insert_with(|| Entry::new(EntryState::Intent));
                }
                Step::Use { uid } => {
                    let entry = inventory.entries.entry(object.clone()).or_insert_with(|| Entry::new(EntryState::Used));
                    entry.state = EntryState::Used;
                    entry.uid = Some(uid.clone());
                }
                Step::Finished => drop(result.health.insert(object.clone(), ObjectHealth::healthy())),
                Step::ReportDrift => result.drifted.push((**object).clone()),
                Step::Problem(problem) => result.problems.push(problem.clone()),
                Step::Unchanged { .. } | Step::Yield { .. } | Step::Update(_) | Step::Correct(_) => {}
            }
            let Some(entry) = inventory.entries.get_mut(object) else { continue };
            match step {
                Step::Unchanged { finished } => entry.finished |= finished,
                Step::Yield { fields } => entry.fields = fields.clone(),
                _ => continue,
            }
            // It may have been retained by a removal that was taken back.
            entry.state = EntryState::Held;
        }
        self.keep(inventory).await?;
        Ok(())
    }

    /// Tries updates of several existing objects on the server first; if one is refused, none of them is written. What is
    /// missing or was changed by others is put right all the same.
    ///
    /// What cannot be tried is not validated, and does not fail because of it.
    async fn validated<'p>(
        &self,
        stack: &DesiredStack,
        steps: Vec<(&'p Prepared, Step)>,
        inventory: &Inventory,
        result: &mut Applying,
    ) -> Vec<(&'p Prepared, Step)> {
        let updates: Vec<_> = steps
            .iter()
            .filter_map(|(prepared, step)| match step {
                Step::Update(target) => Some((*prepared, target)),
                _ => None,
            })
            .collect();
        if stack.policies.validate == Validate::None || updates.len() < 2 {
            return steps;
        }
        let tries = updates.into_iter().map(|(prepared, target)| {
            let entry = inventory.entries.get(&prepared.object);
            async move {
                let tried = self.write(stack, prepared, entry, Some(target), true).await;
                let is_refused = matches!(tried, Err(WriteError::Api(ClusterError::Invalid(_))));
                // What is to be replaced need not be possible as an update.
                if is_refused && stack.policies.replace_immutable && self.would_be_created(prepared).await.is_ok() {
                    return (prepared, Ok(()));
                }
                (prepared, tried.map(drop))
            }
            .boxed()
        });
        let mut refused: Vec<ObjectProblem> = concurrently(tries, CONCURRENCY)
            .await
            .into_iter()
            .filter_map(|(prepared, tried)| match tried {
                Err(WriteError::Api(
                    error @ (ClusterError::Invalid(_) | ClusterError::Denied(_) | ClusterError::Forbidden(_)),
                )) => {
                    let problem = ObjectProblem::api(prepared.object.clone(), &error);
                    Some(ObjectProblem { reason: "ValidationFailed", ..problem })
                }
                _ => None,
            })
            .collect();
        if refused.is_empty() {
            return steps;
        }
        result.problems.append(&mut refused);
        steps.into_iter().filter(|(_, step)| !matches!(step, Step::Update(_))).collect()
    }

    /// Carries steps out. What is not found although something was written a moment ago may only not be visible yet: the
    /// server's own caches follow a definition or a role after some milliseconds.
    async fn execute_all(
        &self,
        stack: &DesiredStack,
        steps: Vec<(&Prepared, Step)>,
        inventory: &mut Inventory,
        result: &mut Applying,
    ) {
        let mut lacking = self.execute_some(stack, steps, inventory, result).await;
        for pause in VISIBLE_AFTER {
            if lacking.is_empty() || result.writes == 0 {
                break;
            }
            tokio::time::sleep(pause).await;
            let again = lacking.into_iter().map(|(prepared, step, _)| (prepared, step)).collect();
            lacking = self.execute_some(stack, again, inventory, result).await;
        }
        result.problems.extend(lacking.into_iter().map(|(_, _, problem)| problem));
    }

    /// Carries steps out once; what the server lacks something for comes back.
    async fn execute_some<'p>(
        &self,
        stack: &DesiredStack,
        steps: Vec<(&'p Prepared, Step)>,
        inventory: &mut Inventory,
        result: &mut Applying,
    ) -> Vec<(&'p Prepared, Step, ObjectProblem)> {
        let mut lacking = Vec::new();
        let entries = &inventory.entries;
        let kind_of = |prepared: &'p Prepared| (&*prepared.object.group, &*prepared.object.kind);
        let unanswered: HashMap<_, _> =
            steps.iter().map(|(prepared, _)| (kind_of(prepared), AtomicUsize::new(0))).collect();
        let none = AtomicUsize::new(0);
        let executions = steps.into_iter().map(|(prepared, step)| {
            let entry = entries.get(&prepared.object);
            let unavailable = unanswered.get(&kind_of(prepared)).unwrap_or(&none);
            async move {
                // An API that hangs would hold the stack up for as long as all its objects take one after another.
                if step.writes() && unavailable.load(Ordering::Relaxed) >= PATIENCE {
                    let message = "not tried: the API did not answer for others of its kind before it";
                    let problem = ObjectProblem::failed(prepared.object.clone(), "ApiUnavailable", message);
                    return (prepared, step, Executed::Problem(problem));
                }
                let outcome = self.execute(stack, prepared, entry, &step).await;
                if matches!(&outcome, Executed::Problem(problem) if problem.reason == "ApiUnavailable") {
                    unavailable.fetch_add(1, Ordering::Relaxed);
                }
                (prepared, step, outcome)
            }
            .boxed()
        });
        for (prepared, step, outcome) in concurrently(executions, CONCURRENCY).await {
            match outcome {
                Executed::Nothing => {}
                Executed::Written(written) => {
                    result.writes += 1;
                    if matches!(step, Step::Correct(_) | Step::Create { drifted: true }) {
                        self.fights().corrected(&prepared.object, Instant::now());
                        result.corrected.push((*prepared.object).clone());
                    }
                    result.defined |= is_crd(&prepared.object);
                    result.health.insert(prepared.object.clone(), written.health);
                    if let Some(entry) = inventory.entries.get_mut(&prepared.object) {
                        entry.state = EntryState::Held;
                        entry.uid = written.uid;
                        entry.manifest = Some(prepared.hash.clone());
                        entry.fields = written.fields;
                        entry.finished = false;
                    }
                }
                Executed::GivenUp(problem) => {
                    inventory.entries.remove(&prepared.object);
                    result.problems.push(problem);
                }
                Executed::Problem(problem) if problem.reason == "NotFound" => lacking.push((prepared, step, problem)),
                Executed::Problem(problem) => result.problems.push(problem),
            }
        }
        lacking
    }
}
