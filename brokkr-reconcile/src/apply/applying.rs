//! Applies one stack: records intents, applies foundations, then all other objects.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_core::model::{GeneratorId, ObjectRef, Validate};
use futures::FutureExt as _;

use crate::applier::DesiredStack;
use crate::apply::decide::{Circumstances, Step, step};
use crate::apply::own_rules::OwnRules;
use crate::apply::progress::Applying;
use crate::apply::unanswered::Unanswered;
use crate::apply::write::{Executed, WriteError, WriteOptions};
use crate::apply::{dependencies, replicas};
use crate::cluster::{ClusterError, ClusterResult};
use crate::context::PassContext;
use crate::desired::prepare::Prepared;
use crate::health;
use crate::observed::job_ends::{Gone, is_job};
use crate::observed::live::{Live, REPLICAS};
use crate::observed::observer::{CONCURRENCY, concurrently};
use crate::order::{apply_rank, is_crd, is_namespace, is_namespace_or_crd};
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::ownership::inventory::{Entry, EntryState, Inventory};
use crate::ownership::objects::Objects;

/// Pauses before a pass retries an object whose kind or Namespace was not found.
const VISIBLE_AFTER: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(250), Duration::from_millis(500)];
/// Further pauses for objects that a rule of the same revision may admit: API servers reload policies once a second.
const RULES_AFTER: [Duration; 2] = [Duration::from_millis(1000), Duration::from_millis(1500)];

/// Maximum number of rejected updates that a pass reads again to explain them. A message has room for fewer.
const EXPLAINED: usize = 10;

/// A rejected object that the API server may accept a moment later.
type Early<'p> = (&'p Prepared, Step, ObjectProblem);

/// Turns a kind that discovery lists but the server does not serve yet into a wait. A missing Namespace stays a failure.
fn not_served_yet(refusal: &ClusterError, problem: ObjectProblem) -> ObjectProblem {
    let is_kind = matches!(refusal, ClusterError::NotFound(message) if !message.contains("namespaces "));
    ObjectProblem { waiting: problem.waiting || is_kind, ..problem }
}

impl PassContext<'_> {
    /// Applies some of a stack's objects. Returns an error if the inventory could not be written; then it has stopped
    /// writing objects.
    pub(crate) async fn apply(
        &self,
        stack: &DesiredStack,
        objects: &[Prepared],
        wanted: &Objects,
        inventory: &mut Inventory,
        result: &mut Applying,
    ) -> ClusterResult<()> {
        let (mut steps, failed) = self.decide_steps(stack, objects, inventory, result).await;
        result.problems.extend(failed);
        self.give_way(&mut steps, result);
        self.record_intents(&steps, inventory, result).await?;
        let rules = OwnRules::of(&steps);
        let mut steps = self.validated(stack, steps, &rules, inventory, result).await;
        steps.sort_by_key(|(prepared, _)| (!is_namespace_or_crd(&prepared.object), apply_rank(&prepared.object)));
        let border = steps.partition_point(|(prepared, _)| is_namespace_or_crd(&prepared.object));
        let mut rest = steps.split_off(border);
        self.execute_all(stack, steps, &rules, inventory, result).await;
        // The new Namespaces are the generator's from now on.
        self.claims().set_held(inventory);
        while !rest.is_empty() {
            let (due, left) = dependencies::due(rest, result);
            if due.is_empty() {
                result.problems.extend(dependencies::explain(&left, wanted, result));
                break;
            }
            self.execute_all(stack, due, &rules, inventory, result).await;
            rest = left;
        }
        self.save_inventory(inventory).await?;
        Ok(())
    }

    /// Decides the step for each object, and records the health of the existing ones.
    pub(crate) async fn decide_steps<'p>(
        &self,
        stack: &DesiredStack,
        objects: &'p [Prepared],
        inventory: &Inventory,
        result: &mut Applying,
    ) -> (Vec<(&'p Prepared, Step)>, Vec<ObjectProblem>) {
        let (live, mut failed) = self.observer.observe(objects).await;
        let confined = self.limits.namespaces.is_some();
        // An agent that works only in some namespaces often lacks the right to read the Namespace itself.
        let unseen = |object: &ObjectRef, error: &ClusterError| {
            confined && is_namespace(object) && matches!(error, ClusterError::Forbidden(_))
        };
        failed.retain(|object, error| !unseen(object, error));
        let problem = |(object, error): (&Arc<ObjectRef>, &ClusterError)| {
            not_served_yet(error, ObjectProblem::api(object.clone(), error))
        };
        let problems = failed.iter().map(problem).collect();
        result.health.extend(live.iter().map(|(object, live)| (object.clone(), live.health.clone())));
        for (prepared, live) in objects.iter().filter_map(|it| Some((it, live.get(&it.object)?))) {
            let is_ours = |entry: &&Entry| entry.is_ours() && entry.uid.as_ref() == Some(&live.uid);
            if inventory.entries.get(&prepared.object).filter(is_ours).is_some() {
                result.yielded.extend(replicas::yielded(prepared, live));
            }
        }
        let seen = objects.iter().filter(|it| !failed.contains_key(&it.object));
        let mut steps: Vec<_> = seen.map(|prepared| (prepared, self.step(stack, prepared, inventory, &live))).collect();
        self.guard_namespaces(stack, &mut steps).await;
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
        let entry = inventory.entries.get(&prepared.object);
        if self.limits.namespaces.is_some() && is_namespace(&prepared.object) {
            return Step::Use { uid: live.map(|it| it.uid.clone()).unwrap_or_default() };
        }
        let claims = self.claims();
        let made_for = live.and_then(|it| it.made_for(self.agent));
        let holder = made_for.filter(|it| claims.made(*it, &prepared.object));
        // Its inventory may be lost, and its owner known nevertheless.
        let maker = made_for.filter(|it| claims.knows(*it));
        let owner = claims.owner(&prepared.object);
        // An operator may let the agent's namespace be used, by naming it.
        let is_own_open = self.limits.namespaces.as_ref().is_some_and(|it| it.contains(self.keeper.namespace()));
        let circumstances = Circumstances {
            agent: self.agent,
            stack: stack.stack_id,
            policies: &stack.policies,
            own_namespace: self.keeper.namespace(),
            is_kept_out: stack.tenant.generator_id != GeneratorId::SYSTEM && !is_own_open,
            holder,
            owner,
            is_foreign: maker.into_iter().chain(owner).any(|it| claims.are_strangers(it, stack.stack_id)),
            gone_job: entry.filter(|_| live.is_none() && is_job(&prepared.object)).map(|entry| self.gone_job(entry)),
        };
        step(prepared, entry, live, &circumstances)
    }

    /// Returns the result of a Job whose object no longer exists.
    fn gone_job(&self, entry: &Entry) -> Gone {
        match (&entry.ended, &entry.uid) {
            (Some(end), _) => Gone::Ended(end.clone()),
            (None, Some(uid)) => self.job_ends.of_gone(uid, Instant::now()),
            (None, None) => Gone::Unfinished,
        }
    }

    /// Replaces the corrections of contested objects by reports of drift, for a while.
    fn give_way(&self, steps: &mut [(&Prepared, Step)], result: &mut Applying) {
        let contention = self.contention();
        for (prepared, step) in steps {
            let corrects = matches!(step, Step::Correct(_) | Step::Create { drifted: true });
            if corrects && !contention.may_correct(&prepared.object, Instant::now()) {
                result.contested.push((*prepared.object).clone());
                *step = Step::ReportDrift;
            }
        }
    }

    /// Records the objects to create in the inventory, before they are created.
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
                    // The inventory's object is gone. The new one gets a new UID.
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
                Step::Ended(end) => drop(result.health.insert(object.clone(), health::ended_job(end))),
                Step::ReportDrift => result.drifted.push((**object).clone()),
                Step::Problem(problem) => {
                    result.problems.push(problem.clone());
                    // An intent that stays would claim the object.
                    if problem.reason == Reason::NotAllowed && inventory.entries.get(object).is_some_and(Entry::is_bare)
                    {
                        inventory.entries.remove(object);
                    }
                }
                Step::Unchanged { .. } | Step::Yield { .. } | Step::Update(_) | Step::Correct(_) => {}
            }
            let Some(entry) = inventory.entries.get_mut(object) else { continue };
            match step {
                Step::Unchanged { ended } => entry.ended = ended.clone().or(entry.ended.take()),
                Step::Ended(end) => entry.ended = Some(end.clone()),
                Step::Yield { fields } => entry.fields = fields.clone(),
                _ => continue,
            }
            // A removal that was cancelled may have retained it.
            entry.state = EntryState::Held;
        }
        self.save_inventory(inventory).await?;
        Ok(())
    }

    /// Validates updates of several existing objects with dry runs. If the server rejects one of them, none of the
    /// updates is written; missing objects and drift are still repaired.
    ///
    /// An update that cannot be validated does not fail for this reason: its webhook may not support dry runs, or the
    /// same revision may change its definition or its admission rules.
    async fn validated<'p>(
        &self,
        stack: &DesiredStack,
        steps: Vec<(&'p Prepared, Step)>,
        rules: &OwnRules,
        inventory: &Inventory,
        result: &mut Applying,
    ) -> Vec<(&'p Prepared, Step)> {
        let updates: Vec<_> = steps
            .iter()
            .filter_map(|(prepared, step)| match step {
                Step::Update(existing) => Some((*prepared, existing)),
                _ => None,
            })
            .collect();
        if stack.policies.validate == Validate::None || updates.len() < 2 {
            return steps;
        }
        let tries = updates.into_iter().map(|(prepared, existing)| {
            let entry = inventory.entries.get(&prepared.object);
            async move {
                let tried =
                    self.write(stack, prepared, WriteOptions { entry, existing: Some(existing), dry_run: true }).await;
                let is_refused = matches!(tried, Err(WriteError::Api(ClusterError::Invalid(_))));
                // An object that will be replaced need not accept an update.
                if is_refused && stack.policies.replace_immutable && self.would_be_created(prepared).await.is_ok() {
                    return (prepared, existing, Ok(()));
                }
                (prepared, existing, tried.map(drop))
            }
            .boxed()
        });
        let mut refused = Vec::new();
        for (prepared, target, tried) in concurrently(tries, CONCURRENCY).await {
            let Err(WriteError::Api(error)) = tried else { continue };
            let is_refusal =
                matches!(error, ClusterError::Invalid(_) | ClusterError::Denied(_) | ClusterError::Forbidden(_));
            if is_refusal && !self.is_inconclusive(rules, &prepared.object, &error).await {
                let problem = match &error {
                    // The policy would have replaced the object, so its manifest itself is wrong.
                    ClusterError::Invalid(refusal)
                        if !stack.policies.replace_immutable && refused.len() < EXPLAINED =>
                    {
                        self.invalid_update(prepared, &target.uid, refusal).await
                    }
                    error => ObjectProblem::api(prepared.object.clone(), error),
                };
                refused.push(ObjectProblem { reason: Reason::ValidationFailed, ..problem });
            }
        }
        if refused.is_empty() {
            return steps;
        }
        result.problems.append(&mut refused);
        steps.into_iter().filter(|(_, step)| !matches!(step, Step::Update(_))).collect()
    }

    /// Executes steps. Retries a rejected object if the stack wrote one that it depends on a moment before: the server's
    /// caches of definitions, roles and policies lag behind.
    async fn execute_all(
        &self,
        stack: &DesiredStack,
        steps: Vec<(&Prepared, Step)>,
        rules: &OwnRules,
        inventory: &mut Inventory,
        result: &mut Applying,
    ) {
        let by_own_rules =
            |it: &Early<'_>| it.2.refusal.as_ref().is_some_and(|refusal| rules.explain(&it.0.object, refusal));
        let mut early = self.execute_some(stack, steps, rules, inventory, result).await;
        for (round, pause) in VISIBLE_AFTER.into_iter().chain(RULES_AFTER).enumerate() {
            let is_hopeful = round < VISIBLE_AFTER.len() || early.iter().any(by_own_rules);
            if early.is_empty() || result.writes == 0 || !is_hopeful {
                break;
            }
            tokio::time::sleep(pause).await;
            let again = early.into_iter().map(|(prepared, step, _)| (prepared, step)).collect();
            early = self.execute_some(stack, again, rules, inventory, result).await;
        }
        for (prepared, _, mut problem) in early {
            // The next pass has no changing rules any more, so a rejection is final then.
            problem.waiting |= problem.refusal.as_ref().is_some_and(|refusal| rules.explain(&prepared.object, refusal));
            result.problems.push(problem);
        }
    }

    /// Executes steps once. Returns the objects that the API server may accept a moment later.
    async fn execute_some<'p>(
        &self,
        stack: &DesiredStack,
        steps: Vec<(&'p Prepared, Step)>,
        rules: &OwnRules,
        inventory: &mut Inventory,
        result: &mut Applying,
    ) -> Vec<Early<'p>> {
        let mut early = Vec::new();
        let entries = &inventory.entries;
        let kind_of = |prepared: &'p Prepared| (&*prepared.object.group, &*prepared.object.kind);
        let unanswered: HashMap<_, _> =
            steps.iter().map(|(prepared, _)| (kind_of(prepared), Unanswered::default())).collect();
        let none = Unanswered::default();
        let executions = steps.into_iter().map(|(prepared, step)| {
            let entry = entries.get(&prepared.object);
            let unanswered = unanswered.get(&kind_of(prepared)).unwrap_or(&none);
            async move {
                if let Some(reason) = unanswered.exhausted().filter(|_| step.writes()) {
                    let message = "not written in this pass, because the API server did not respond for other objects of its kind; the next pass retries";
                    let problem = ObjectProblem::failed(prepared.object.clone(), reason, message);
                    return (prepared, step, Executed::Problem(problem));
                }
                let began = Instant::now();
                let outcome = self.execute(stack, prepared, entry, &step).await;
                if let Executed::Problem(problem) = &outcome {
                    unanswered.note(problem, began.elapsed());
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
                        self.contention().corrected(&prepared.object, Instant::now());
                        result.corrected.push((*prepared.object).clone());
                    }
                    result.defined |= is_crd(&prepared.object);
                    result.health.insert(prepared.object.clone(), written.health);
                    if let Some(entry) = inventory.entries.get_mut(&prepared.object) {
                        entry.state = EntryState::Held;
                        entry.uid = written.uid;
                        entry.manifest = Some(prepared.hash.clone());
                        if written.fields.contains(REPLICAS) {
                            result.yielded.retain(|it| it.object != *prepared.object);
                        }
                        entry.fields = written.fields;
                        entry.replicas = prepared.replicas;
                        entry.ended = written.ended;
                    }
                }
                Executed::GivenUp(problem) => {
                    inventory.entries.remove(&prepared.object);
                    result.problems.push(problem);
                }
                Executed::Problem(problem) => match &problem.refusal {
                    Some(refusal @ ClusterError::NotFound(_)) => {
                        early.push((prepared, step, not_served_yet(refusal, problem.clone())))
                    }
                    Some(refusal) if rules.explain(&prepared.object, refusal) => early.push((prepared, step, problem)),
                    _ => result.problems.push(problem),
                },
            }
        }
        early
    }
}
