//! The state of one stack during a pass.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use brokkr_core::model::{Health, ObjectRef, limits};

use crate::applier::{DesiredStack, Goal};
use crate::apply::progress::Applying;
use crate::cluster::{Cluster, ClusterError};
use crate::context::PassContext;
use crate::desired::prepare::{Prepared, PreparedSet, unserved};
use crate::health::{ObjectHealth, worst};
use crate::order::is_namespace_or_crd;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::outcome::stack_outcome::{Progress, StackOutcome, Unhealthy, progress};
use crate::ownership::inventory::Inventory;
use crate::ownership::objects::Objects;
use crate::pass::readiness::Readiness;
use crate::prune::phases::Pruning;

/// The state of one stack during a pass.
pub(crate) struct StackPass<'a> {
    pub(crate) desired: &'a DesiredStack,
    pub(crate) inventory: Inventory,
    /// The cluster with the identity that writes the objects; `None`: the agent's own.
    pub(crate) writer: Option<Arc<dyn Cluster>>,
    pub(crate) deleted_uids: BTreeSet<String>,
    pub(crate) prepared: Option<Arc<PreparedSet>>,
    pub(crate) wanted: Arc<Objects>,
    pub(crate) applying: Applying,
    pub(crate) pruning: Pruning,
    /// Why the stack is not applied yet: it waits for another stack.
    pub(crate) held_back: Option<String>,
    /// Whether the health of its objects includes the objects that they refer to.
    pub(crate) is_judged: bool,
    /// The wait for readiness, if the policy asks for it.
    pub(crate) readiness: Readiness,
    /// Set when the inventory could not be written: then the copy in memory is invalid.
    pub(crate) broken: Option<ClusterError>,
}

impl<'a> StackPass<'a> {
    pub(crate) fn new(
        stack: &'a DesiredStack,
        inventory: Inventory,
        deleted_uids: BTreeSet<String>,
        prepared: Option<Arc<PreparedSet>>,
    ) -> Self {
        Self {
            desired: stack,
            inventory,
            writer: None,
            deleted_uids,
            wanted: prepared.as_ref().map(|it| it.objects.clone()).unwrap_or_default(),
            prepared,
            applying: Applying::default(),
            pruning: Pruning::default(),
            held_back: None,
            is_judged: false,
            readiness: Readiness::NotAsked,
            broken: None,
        }
    }

    /// Replaces the prepared manifests after a new discovery. Returns the previous ones.
    pub(crate) fn replace_prepared(&mut self, prepared: Option<Arc<PreparedSet>>) -> Option<Arc<PreparedSet>> {
        self.wanted = prepared.as_ref().map(|it| it.objects.clone()).unwrap_or_default();
        std::mem::replace(&mut self.prepared, prepared)
    }

    /// Whether the stack is about to remove a Namespace or a custom resource definition.
    pub(crate) fn loses_foundation(&self) -> bool {
        self.inventory.entries.keys().any(|object| is_namespace_or_crd(object) && !self.wanted.contains(object))
    }

    pub(crate) async fn apply(&mut self, context: &PassContext<'_>) {
        if let Some(set) = self.prepared.clone().filter(|_| self.held_back.is_none()) {
            self.apply_some(context, &set.ready).await;
        }
    }

    /// Applies the objects of kinds whose definitions the stack has just created.
    pub(crate) async fn apply_newly_served(&mut self, context: &PassContext<'_>, before: &PreparedSet) {
        let Some(set) = self.prepared.clone().filter(|_| self.held_back.is_none()) else {
            return;
        };
        let is_new = |it: &&Prepared| !before.ready.iter().any(|old| old.object == it.object);
        let served: Vec<Prepared> = set.ready.iter().filter(is_new).cloned().collect();
        if !served.is_empty() {
            self.apply_some(context, &served).await;
        }
    }

    async fn apply_some(&mut self, context: &PassContext<'_>, objects: &[Prepared]) {
        let context = context.written_by(self.writer.as_ref());
        let applied = context.apply(self.desired, objects, &self.wanted, &mut self.inventory, &mut self.applying).await;
        if let Err(error) = applied {
            self.broken = Some(error);
        }
    }

    /// Whether the API server accepted every object.
    pub(crate) fn is_applied(&self) -> bool {
        matches!(self.desired.goal, Goal::Apply { .. })
            && self.broken.is_none()
            && self.held_back.is_none()
            && self.applying.problems.is_empty()
            && self.prepared.as_deref().is_some_and(|set| set.unserved.is_empty() && set.refused.is_empty())
    }

    pub(crate) async fn prune(&mut self, context: &PassContext<'_>, may_remove: bool, complete: bool) {
        let is_removal = matches!(self.desired.goal, Goal::Remove);
        // Prune only after the replacements are applied. Objects that other stacks hold exist already.
        let stands = self.applying.problems.iter().all(|it| it.reason == Reason::HeldByStack)
            && self.prepared.as_deref().is_none_or(|set| set.unserved.is_empty() && set.refused.is_empty())
            && self.held_back.is_none()
            && self.readiness.allows_prune();
        if self.broken.is_some() || (!is_removal && !stands) {
            return;
        }
        if is_removal && self.inventory.entries.is_empty() {
            // The inventory is empty, or was lost.
            match context.untracked(self.desired.stack_id).await {
                Ok(orphans) => self.pruning.problems.extend(orphans),
                Err(error) => {
                    self.pruning.problems.push(of_record(Reason::from(&error), &error));
                }
            }
            return;
        }
        let to_remove: Vec<&Arc<ObjectRef>> =
            self.inventory.entries.keys().filter(|object| !self.wanted.contains(*object)).collect();
        let obstacle = if !complete {
            Some((
                Reason::ContentPending,
                "the manifests of another stack, which may contain the object, are not fetched yet",
            ))
        } else if !may_remove {
            Some((
                Reason::EpochUnconfirmed,
                "the broker's history may have forked: the agent removes nothing until an admin confirms the epoch",
            ))
        } else {
            None
        };
        if to_remove.is_empty() {
            return;
        }
        if let Some((reason, message)) = obstacle {
            let held = to_remove.into_iter().map(|object| ObjectProblem::waiting(object.clone(), reason, message));
            self.pruning.problems.extend(held);
            return;
        }
        let deletion = self.desired.policies.deletion;
        let context = context.written_by(self.writer.as_ref());
        match context.prune(deletion, &self.wanted, false, &mut self.inventory, &mut self.deleted_uids).await {
            Ok(pruning) => self.pruning = pruning,
            Err(error) => self.broken = Some(error),
        }
    }

    /// Returns the health of the wanted objects. Objects that do not exist count as missing.
    fn health(&self) -> (Health, Vec<Unhealthy>) {
        if !matches!(self.desired.goal, Goal::Apply { .. }) {
            return (Health::Unknown, Vec::new());
        }
        let refused = self.prepared.iter().flat_map(|set| &set.refused);
        let unserved = self.prepared.iter().flat_map(|set| &set.unserved);
        let unserved = unserved.filter(|it| it.is_lasting()).map(|it| (&it.object, Reason::KindNotServed));
        let reasons: HashMap<&Arc<ObjectRef>, Reason> = self
            .applying
            .problems
            .iter()
            .chain(refused)
            .filter(|problem| problem.is_lasting())
            .map(|problem| (&problem.object, problem.reason))
            .chain(unserved)
            .collect();
        let of = |object: &Arc<ObjectRef>| match (self.applying.health.get(object), reasons.get(object).copied()) {
            // The health of an object of others says nothing about the stack.
            (Some(_), Some(reason)) if reason.is_about_foreign_object() => ObjectHealth::foreign(reason.as_str()),
            (Some(health), _) => health.clone(),
            (None, Some(reason)) => ObjectHealth::not_created(reason.as_str()),
            (None, None) if self.applying.drifted.contains(object) => ObjectHealth::deleted_by_others(),
            (None, None) => ObjectHealth::coming(),
        };
        let mut unhealthy: Vec<Unhealthy> = self
            .wanted
            .iter()
            .map(|object| (object, of(object)))
            .filter(|(_, health)| health.health != Health::Healthy)
            .map(|(object, health)| Unhealthy { object: (**object).clone(), health })
            .collect();
        let health = worst(unhealthy.iter().map(|it| it.health.health));
        // Keep only the worst ones, up to a limit.
        unhealthy.sort_by_key(|it| it.health.health != health);
        unhealthy.truncate(limits::EVENT_OBJECTS);
        (health, unhealthy)
    }

    pub(crate) fn finish(self) -> (Inventory, BTreeSet<String>, StackOutcome) {
        let applied = self.is_applied();
        let (health, unhealthy) = self.health();
        let mut problems = self.applying.problems;
        if let Some(set) = self.prepared.as_deref() {
            problems.extend(set.unserved.iter().map(unserved));
            problems.extend(set.refused.iter().cloned());
        }
        problems.extend(self.pruning.problems);
        if let Some(error) = self.broken {
            problems.push(of_record(Reason::InventoryNotKept, &error));
        }
        let interrupted = problems.iter().any(|it| matches!(it.refusal, Some(ClusterError::Fenced)));
        let retry_after = problems.iter().filter_map(|it| it.retry_after).max();
        let total = self.wanted.len().max(self.inventory.entries.len()).max(problems.len());
        let progress = match (self.held_back, progress(problems, total)) {
            (Some(message), _) => Progress::Waiting { reason: Reason::DependsOnStack, message, objects: Vec::new() },
            (None, Progress::Done) => self.readiness.progress(&unhealthy),
            (None, progress) => progress,
        };
        // The order must not depend on which request returned first.
        let (mut corrected, mut drifted) = (self.applying.corrected, self.applying.drifted);
        let mut contested = self.applying.contested;
        for objects in [&mut corrected, &mut drifted, &mut contested] {
            objects.sort();
            objects.dedup();
        }
        let outcome = StackOutcome {
            stack_id: self.desired.stack_id,
            revision: match &self.desired.goal {
                Goal::Apply { revision, .. } => Some(*revision),
                Goal::Remove | Goal::Keep | Goal::Hold => None,
            },
            removal: matches!(self.desired.goal, Goal::Remove),
            applied,
            interrupted,
            progress,
            health,
            unhealthy,
            retained: self.pruning.retained,
            yielded: self.applying.yielded,
            corrected,
            drifted,
            contested,
            writes: self.applying.writes + self.pruning.writes,
            retry_after,
        };
        (self.inventory, self.deleted_uids, outcome)
    }
}

/// Returns the problem of the inventory. The server's message about it contains no secrets.
fn of_record(reason: Reason, error: &ClusterError) -> ObjectProblem {
    let (group, kind, name) = (String::new(), "Secret".to_owned(), "inventory".to_owned());
    let record = ObjectRef { group, kind, namespace: None, name };
    let (refusal, retry_after) = (Some(error.clone()), error.retry_after());
    ObjectProblem { refusal, retry_after, ..ObjectProblem::failed(record, reason, error.to_string()) }
}

#[cfg(test)]
mod tests {
    use brokkr_core::model::Policies;
    use serde_json::Value;

    use super::*;
    use crate::ownership::inventory::{Entry, EntryState};
    use crate::samples::{Sample, manifest};

    /// A ConfigMap, a Namespace, and an object of a kind that is not served.
    fn manifests() -> [Value; 3] {
        [
            manifest("v1", "ConfigMap", "it"),
            manifest("v1", "Namespace", "place"),
            manifest("w.example/v1", "Thing", "t"),
        ]
    }

    fn pass<'a>(sample: &Sample, desired: &'a DesiredStack, manifests: &[Value]) -> StackPass<'a> {
        let set = Arc::new(sample.prepared_set(manifests));
        StackPass::new(desired, Inventory::new(sample.stack), BTreeSet::new(), Some(set))
    }

    #[test]
    fn newer_manifests_replace_wanted_objects() {
        let sample = Sample::new();
        let desired = sample.desired(Policies::default());
        let [map, namespace, _] = manifests();
        let mut stack = pass(&sample, &desired, &[map]);
        let before = stack.prepared.clone().expect("prepared");
        let newer = Arc::new(sample.prepared_set(&[namespace]));
        let returned = stack.replace_prepared(Some(newer.clone())).expect("the previous set");
        assert!(Arc::ptr_eq(&returned, &before));
        assert!(stack.prepared.as_ref().is_some_and(|it| Arc::ptr_eq(it, &newer)));
        assert_eq!(*stack.wanted, *newer.objects);
        assert!(stack.replace_prepared(None).is_some() && stack.wanted.is_empty() && stack.prepared.is_none());
    }

    #[test]
    fn dropped_namespace_counts_as_lost_foundation() {
        let sample = Sample::new();
        let desired = sample.desired(Policies::default());
        let [map, namespace, _] = manifests();
        let held = |stack: &mut StackPass<'_>, objects: &Objects| {
            let entries = objects.iter().map(|object| (object.clone(), Entry::new(EntryState::Held)));
            stack.inventory.entries.extend(entries);
        };
        let both = sample.prepared_set(&[map.clone(), namespace.clone()]).objects;
        for (manifests, expected) in
            [(vec![map.clone()], true), (vec![map, namespace.clone()], false), (vec![namespace], false)]
        {
            let mut stack = pass(&sample, &desired, &manifests);
            held(&mut stack, &both);
            assert_eq!(stack.loses_foundation(), expected, "{manifests:?}");
        }
    }

    #[test]
    fn outcome_has_the_health_of_objects() {
        let sample = Sample::new();
        let desired = sample.desired(Policies::default());
        let [map, ..] = manifests();
        let object = || Arc::new((*sample.prepared(&map).object).clone());
        let failed = |reason| ObjectProblem::failed(object(), reason, "no");
        let waiting = ObjectProblem::waiting(object(), Reason::Terminating, "soon");
        let healthy = || Some(ObjectHealth::healthy());
        for (live, problem, drifted, expected) in [
            (healthy(), None, false, "Healthy"),
            (None, None, false, "Progressing Missing"),
            (None, None, true, "Degraded Missing"),
            (None, Some(failed(Reason::Refused)), false, "Degraded NotCreated"),
            (None, Some(waiting.clone()), false, "Progressing Missing"),
            (healthy(), Some(failed(Reason::Refused)), false, "Healthy"),
            (healthy(), Some(failed(Reason::NotOwned)), false, "Degraded NotOfThisStack"),
            (healthy(), Some(failed(Reason::HeldByStack)), false, "Degraded NotOfThisStack"),
            (healthy(), Some(waiting), false, "Healthy"),
        ] {
            let mut stack = pass(&sample, &desired, std::slice::from_ref(&map));
            stack.applying.health.extend(live.clone().map(|health| (object(), health)));
            stack.applying.problems.extend(problem.clone());
            stack.applying.drifted.extend(drifted.then(|| (*object()).clone()));
            let (_, _, outcome) = stack.finish();
            let reason = outcome.unhealthy.first().map(|it| it.health.reason.clone()).unwrap_or_default();
            let found = format!("{:?} {reason}", outcome.health);
            assert_eq!(found.trim_end(), expected, "{live:?} {problem:?} drifted: {drifted}");
            assert_eq!(outcome.applied, problem.is_none(), "{problem:?}");
        }
    }

    #[test]
    fn outcome_has_the_progress() {
        let sample = Sample::new();
        let desired = sample.desired(Policies::default());
        let [map, _, thing] = manifests();
        let ready = || {
            let mut stack = pass(&sample, &desired, std::slice::from_ref(&map));
            let object = sample.prepared(&map).object.clone();
            stack.applying.health.insert(object, ObjectHealth::healthy());
            stack
        };
        let problem = |error: ClusterError| ObjectProblem::api(sample.prepared(&map).object.clone(), &error);
        let with = |problem: ObjectProblem| {
            let mut stack = ready();
            stack.applying.problems.push(problem);
            stack
        };
        let fenced = with(problem(ClusterError::Fenced));
        let refused = with(problem(ClusterError::Invalid("no".to_owned())));
        let held_back = StackPass { held_back: Some("another comes first".to_owned()), ..ready() };
        let stalled = StackPass { readiness: Readiness::Stalled, ..ready() };
        let pending = StackPass { readiness: Readiness::Pending, ..ready() };
        let broken = StackPass { broken: Some(ClusterError::unavailable("away")), ..ready() };
        let unserved = pass(&sample, &desired, &[thing]);
        for (stack, interrupted, expected) in [
            (ready(), false, "done"),
            (fenced, true, "waits Fenced"),
            (refused, false, "fails Refused"),
            (held_back, false, "waits DependsOnStack"),
            (stalled, false, "fails Stalled"),
            (pending, false, "waits NotReady"),
            (broken, false, "fails InventoryNotKept"),
            (unserved, false, "fails KindNotServed"),
        ] {
            let (_, _, outcome) = stack.finish();
            let found = match &outcome.progress {
                Progress::Done => "done".to_owned(),
                Progress::Waiting { reason, .. } => format!("waits {reason}"),
                Progress::Failed { reason, .. } => format!("fails {reason}"),
            };
            assert_eq!((found.as_str(), outcome.interrupted), (expected, interrupted), "{:?}", outcome.progress);
        }
    }
}
