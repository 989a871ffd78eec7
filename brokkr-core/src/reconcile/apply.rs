//! Applying one stack: intents first, then foundations, then the rest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::applier::DesiredStack;
use super::claims::Claims;
use super::inventory::{Entry, EntryState, Inventory, Keeper};
use super::live::{FieldHashes, Live};
use super::observe::{CONCURRENCY, Observer, concurrently};
use super::order::{apply_rank, is_crd, is_foundation};
use super::outcome::ObjectProblem;
use super::ownership::MANAGER_PREFIX;
use super::plan::{Circumstances, Step, step};
use super::prepare::Prepared;
use crate::cluster::{ApiKind, ApplyOptions, Cluster, ClusterError, ClusterResult, Discovery, FieldConflict, meta};
use crate::model::{AgentId, Conflicts, ObjectRef, Validate};

/// How long the establishment of custom resource definitions is waited for within a pass.
const ESTABLISH_WAIT: Duration = Duration::from_secs(10);

/// What working on a stack needs.
pub(super) struct Work<'a> {
    pub(super) cluster: &'a dyn Cluster,
    pub(super) agent: AgentId,
    pub(super) manager: &'a str,
    pub(super) keeper: &'a Keeper,
    pub(super) observer: &'a Observer<'a>,
    pub(super) claims: &'a Mutex<Claims>,
    pub(super) discovery: &'a Discovery,
}

/// What came of applying a stack so far.
#[derive(Debug, Default)]
pub(super) struct Applying {
    pub(super) problems: Vec<ObjectProblem>,
    /// What others had changed or deleted and is right again.
    pub(super) corrected: Vec<ObjectRef>,
    /// What others changed or deleted and stays so.
    pub(super) drifted: Vec<ObjectRef>,
    pub(super) writes: usize,
    /// Whether a custom resource definition was written, so that discovery is out of date.
    pub(super) defined: bool,
}

impl Work<'_> {
    pub(super) fn claims(&self) -> std::sync::MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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
        inventory: &mut Inventory,
        result: &mut Applying,
    ) -> ClusterResult<()> {
        let (steps, failed) = self.plan(stack, objects, inventory).await;
        result.problems.extend(failed);
        self.record_intents(&steps, inventory, result).await?;
        let mut steps = self.validated(stack, steps, inventory, result).await;
        steps.sort_by_key(|(prepared, _)| (!is_foundation(&prepared.object), apply_rank(&prepared.object)));
        let border = steps.partition_point(|(prepared, _)| is_foundation(&prepared.object));
        let rest = steps.split_off(border);
        for steps in [steps, rest] {
            self.execute_all(stack, steps, inventory, result).await;
        }
        self.keep(inventory).await?;
        Ok(())
    }

    /// Decides about each object.
    async fn plan<'p>(
        &self,
        stack: &DesiredStack,
        objects: &'p [Prepared],
        inventory: &Inventory,
    ) -> (Vec<(&'p Prepared, Step)>, Vec<ObjectProblem>) {
        let wanted: BTreeMap<ObjectRef, ApiKind> =
            objects.iter().map(|it| (it.object.clone(), it.kind.clone())).collect();
        let (live, failed) = self.observer.observe(wanted).await;
        let problems = failed.iter().map(|(object, error)| ObjectProblem::api(object.clone(), error)).collect();
        let seen = objects.iter().filter(|it| !failed.contains_key(&it.object));
        let steps = seen.map(|prepared| (prepared, self.step(stack, prepared, inventory, &live))).collect();
        (steps, problems)
    }

    fn step(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        inventory: &Inventory,
        live: &HashMap<ObjectRef, Live>,
    ) -> Step {
        let claims = self.claims();
        let circumstances = Circumstances {
            agent: self.agent,
            stack: stack.stack_id,
            policies: &stack.policies,
            own_namespace: self.keeper.namespace(),
            holder: claims.maker(&prepared.object),
            owner: claims.owner(&prepared.object),
        };
        step(prepared, inventory.entries.get(&prepared.object), live.get(&prepared.object), &circumstances)
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
                Step::ReportDrift => result.drifted.push(object.clone()),
                Step::Problem(problem) => result.problems.push(problem.clone()),
                Step::Unchanged | Step::Update { .. } | Step::Correct { .. } => {}
            }
            if let (Step::Unchanged, Some(entry)) = (step, inventory.entries.get_mut(object)) {
                // It may have been retained by a removal that was taken back.
                entry.state = EntryState::Held;
            }
        }
        self.keep(inventory).await?;
        Ok(())
    }

    /// Tries updates of several existing objects on the server first; if one is refused, none is written.
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
                Step::Update { uid } => Some((*prepared, uid.as_str())),
                _ => None,
            })
            .collect();
        if stack.policies.validate == Validate::None || updates.len() < 2 {
            return steps;
        }
        let tries = updates.into_iter().map(|(prepared, uid)| {
            let entry = inventory.entries.get(&prepared.object);
            async move { (prepared, self.write(stack, prepared, entry, Some(uid), true).await) }.boxed()
        });
        let mut refused: Vec<ObjectProblem> = concurrently(tries.collect(), CONCURRENCY)
            .await
            .into_iter()
            .filter_map(|(prepared, tried)| match tried {
                Err(WriteError::Api(error @ (ClusterError::Invalid(_) | ClusterError::Forbidden(_)))) => {
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
        Vec::new()
    }

    async fn execute_all(
        &self,
        stack: &DesiredStack,
        steps: Vec<(&Prepared, Step)>,
        inventory: &mut Inventory,
        result: &mut Applying,
    ) {
        let entries = &inventory.entries;
        let executions = steps.into_iter().map(|(prepared, step)| {
            let entry = entries.get(&prepared.object);
            async move {
                let outcome = self.execute(stack, prepared, entry, &step).await;
                (prepared, step, outcome)
            }
            .boxed()
        });
        for (prepared, step, outcome) in concurrently(executions.collect(), CONCURRENCY).await {
            match outcome {
                Executed::Nothing => {}
                Executed::Written(object) => {
                    result.writes += 1;
                    if matches!(step, Step::Correct { .. } | Step::Create { drifted: true }) {
                        result.corrected.push(prepared.object.clone());
                    }
                    result.defined |= is_crd(&prepared.object);
                    if let Some(entry) = inventory.entries.get_mut(&prepared.object) {
                        entry.state = EntryState::Held;
                        entry.uid = meta::uid(&object).map(str::to_owned);
                        entry.manifest = Some(prepared.hash.clone());
                        entry.fields = FieldHashes::of(&meta::applied_fields(&object, self.manager));
                    }
                }
                Executed::GivenUp(problem) => {
                    inventory.entries.remove(&prepared.object);
                    result.problems.push(problem);
                }
                Executed::Problem(problem) => result.problems.push(problem),
            }
        }
    }

    async fn execute(&self, stack: &DesiredStack, prepared: &Prepared, entry: Option<&Entry>, step: &Step) -> Executed {
        let (uid, only_if_equal) = match step {
            Step::Unchanged | Step::ReportDrift | Step::Use { .. } | Step::Problem(_) => {
                return Executed::Nothing;
            }
            Step::Create { .. } => (None, false),
            Step::Update { uid } | Step::Correct { uid } => (Some(uid.as_str()), false),
            Step::Take { uid, only_if_equal } => (Some(uid.as_str()), *only_if_equal),
        };
        if only_if_equal {
            match self.would_change(stack, prepared, uid).await {
                Ok(false) => {}
                Ok(true) => {
                    return Executed::GivenUp(ObjectProblem::failed(
                        prepared.object.clone(),
                        "NotOwned",
                        "it exists, was not made by this agent, and differs; see the policy adopt",
                    ));
                }
                Err(error) => return Executed::Problem(self.problem(prepared, error)),
            }
        }
        match self.write(stack, prepared, entry, uid, false).await {
            // Others have written it, so it is theirs; what nobody but our manager ever wrote another run of ours made.
            Ok(applied) if uid.is_none() && !applied.created && self.is_others(&applied.object) => {
                self.give_up(prepared, &applied.object).await
            }
            Ok(applied) => Executed::Written(applied.object),
            Err(error) => Executed::Problem(self.problem(prepared, error)),
        }
    }

    /// Applies an object. A conflict is answered with force only where everything in conflict is drift, or where the
    /// policy says so, and never against another agent.
    async fn write(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        entry: Option<&Entry>,
        uid: Option<&str>,
        dry_run: bool,
    ) -> Result<crate::cluster::Applied, WriteError> {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let mut with_uid = None;
        let body = match uid {
            None => &prepared.body,
            Some(uid) => {
                let body = with_uid.insert(prepared.body.clone());
                body["metadata"]["uid"] = json!(uid);
                body
            }
        };
        let options = ApplyOptions { manager: self.manager, force: false, dry_run };
        let conflicts = match self.cluster.apply(&at, body, &options).await {
            Err(ClusterError::Conflict(conflicts)) => conflicts,
            result => return result.map_err(WriteError::Api),
        };
        let is_agent = |it: &FieldConflict| it.manager.starts_with(MANAGER_PREFIX) && it.manager != self.manager;
        let is_drift = |it: &FieldConflict| entry.is_some_and(|entry| entry.fields.contains(&it.field));
        let may_force = stack.policies.conflicts == Conflicts::Force || conflicts.iter().all(is_drift);
        if !may_force || conflicts.iter().any(is_agent) {
            return Err(WriteError::Conflicts(conflicts));
        }
        let options = ApplyOptions { force: true, ..options };
        self.cluster.apply(&at, body, &options).await.map_err(WriteError::Api)
    }

    fn problem(&self, prepared: &Prepared, error: WriteError) -> ObjectProblem {
        let object = prepared.object.clone();
        match error {
            WriteError::Api(error @ (ClusterError::Precondition(_) | ClusterError::Terminating(_))) => {
                ObjectProblem::waiting(object, error.reason(), error.to_string())
            }
            WriteError::Api(error) => ObjectProblem::api(object, &error),
            WriteError::Conflicts(conflicts) => {
                let agents = conflicts.iter().any(|it| it.manager.starts_with(MANAGER_PREFIX));
                let reason = if agents { "HeldByAnotherAgent" } else { "Conflict" };
                let fields: Vec<String> =
                    conflicts.iter().take(10).map(|it| format!("{} is owned by {}", it.field, it.manager)).collect();
                ObjectProblem::failed(object, reason, format!("{}; see the policy conflicts", fields.join(", ")))
            }
        }
    }

    fn is_others(&self, object: &Value) -> bool {
        meta::managers(object).any(|manager| manager != self.manager)
    }

    /// A create hit an object that came to exist since we looked: our fields are given up again.
    async fn give_up(&self, prepared: &Prepared, object: &Value) -> Executed {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let mut nothing = json!({
            "apiVersion": prepared.kind.api_version(),
            "kind": prepared.kind.kind,
            "metadata": {"name": at.name, "uid": meta::uid(object)},
        });
        if let Some(namespace) = at.namespace {
            nothing["metadata"]["namespace"] = json!(namespace);
        }
        let options = ApplyOptions { manager: self.manager, force: false, dry_run: false };
        match self.cluster.apply(&at, &nothing, &options).await {
            Ok(_) | Err(ClusterError::NotFound(_)) => Executed::GivenUp(ObjectProblem::failed(
                prepared.object.clone(),
                "NotOwned",
                "somebody else made it at the same moment",
            )),
            // The intent stays, so that the next pass looks again.
            Err(error) => Executed::Problem(ObjectProblem::api(prepared.object.clone(), &error)),
        }
    }

    /// Whether applying would change anything but ownership and our labels.
    async fn would_change(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        uid: Option<&str>,
    ) -> Result<bool, WriteError> {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let Some(live) = self.cluster.get(&at).await.map_err(WriteError::Api)? else {
            return Ok(true);
        };
        let applied = match self.write(stack, prepared, None, uid, true).await {
            Err(WriteError::Conflicts(_)) => return Ok(true),
            result => result?,
        };
        Ok(without_ownership(live) != without_ownership(applied.object))
    }

    /// Waits until the custom resource definitions among these objects are established, within a bound.
    pub(super) async fn established(&self, objects: &[Prepared]) {
        let crds: Vec<&Prepared> = objects.iter().filter(|it| is_crd(&it.object)).collect();
        let all = async {
            for crd in crds {
                let at = crd.kind.at(None, &crd.object.name);
                loop {
                    match self.cluster.get(&at).await {
                        Ok(Some(live)) if !is_established(&live) => tokio::time::sleep(Duration::from_millis(50)).await,
                        // Established, gone, or not to be seen: the next step finds out.
                        _ => break,
                    }
                }
            }
        };
        // Running out of time is no error: what is not served yet is looked at again in the next pass.
        let _ = tokio::time::timeout(ESTABLISH_WAIT, all).await;
    }
}

fn is_established(crd: &Value) -> bool {
    let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| it["type"] == "Established" && it["status"] == "True")
}

/// An object without what adopting it changes in any case.
fn without_ownership(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "generation"] {
            metadata.remove(field);
        }
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            let own = BTreeSet::from([super::AGENT_LABEL, super::STACK_LABEL, super::PART_OF_LABEL]);
            labels.retain(|key, _| !own.contains(key.as_str()));
            if labels.is_empty() {
                metadata.remove("labels");
            }
        }
    }
    object
}

enum Executed {
    Nothing,
    Written(Value),
    /// It is not ours, and the inventory forgets it.
    GivenUp(ObjectProblem),
    Problem(ObjectProblem),
}

enum WriteError {
    Api(ClusterError),
    Conflicts(Vec<FieldConflict>),
}
