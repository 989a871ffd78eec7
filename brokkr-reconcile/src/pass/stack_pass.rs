//! One stack on its way through a pass.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use brokkr_core::model::{Health, ObjectRef, limits};

use crate::applier::{DesiredStack, Goal};
use crate::apply::progress::Applying;
use crate::cluster::ClusterError;
use crate::context::PassContext;
use crate::desired::prepare::{Prepared, PreparedSet, unserved};
use crate::health::{ObjectHealth, worst};
use crate::order::is_foundation;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::outcome::stack_outcome::{Progress, StackOutcome, Unhealthy, progress};
use crate::ownership::inventory::Inventory;
use crate::ownership::objects::Objects;
use crate::pass::readiness::Readiness;
use crate::prune::phases::Pruning;

/// One stack on its way through a pass.
pub(crate) struct StackPass<'a> {
    pub(crate) desired: &'a DesiredStack,
    pub(crate) inventory: Inventory,
    pub(crate) deleted_uids: BTreeSet<String>,
    pub(crate) prepared: Option<Arc<PreparedSet>>,
    pub(crate) wanted: Arc<Objects>,
    pub(crate) applying: Applying,
    pub(crate) pruning: Pruning,
    /// Why nothing of it is applied yet: another stack comes first.
    pub(crate) held_back: Option<String>,
    /// Whether its objects were judged by others that they refer to.
    pub(crate) is_judged: bool,
    /// How far the wait for readiness is, where the policy asks for one.
    pub(crate) readiness: Readiness,
    /// Set when the inventory could not be kept: what is in memory is not to be trusted any more.
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

    /// Takes over what the manifests have become since discovery is newer; returns what they were.
    pub(crate) fn prepare_anew(&mut self, prepared: Option<Arc<PreparedSet>>) -> Option<Arc<PreparedSet>> {
        self.wanted = prepared.as_ref().map(|it| it.objects.clone()).unwrap_or_default();
        std::mem::replace(&mut self.prepared, prepared)
    }

    /// Whether it is about to remove a Namespace or a custom resource definition.
    pub(crate) fn loses_foundation(&self) -> bool {
        self.inventory.entries.keys().any(|object| is_foundation(object) && !self.wanted.contains(object))
    }

    pub(crate) async fn apply(&mut self, context: &PassContext<'_>) {
        if let Some(set) = self.prepared.clone().filter(|_| self.held_back.is_none()) {
            self.apply_some(context, &set.ready).await;
        }
    }

    /// The second round for stacks that bring the definitions of their own kinds.
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
        let applied = context.apply(self.desired, objects, &self.wanted, &mut self.inventory, &mut self.applying).await;
        if let Err(error) = applied {
            self.broken = Some(error);
        }
    }

    /// Whether the API server has accepted every object.
    pub(crate) fn is_applied(&self) -> bool {
        matches!(self.desired.goal, Goal::Apply { .. })
            && self.broken.is_none()
            && self.held_back.is_none()
            && self.applying.problems.is_empty()
            && self.prepared.as_deref().is_some_and(|set| set.unserved.is_empty() && set.refused.is_empty())
    }

    pub(crate) async fn prune(&mut self, context: &PassContext<'_>, may_remove: bool, complete: bool) {
        let is_removal = matches!(self.desired.goal, Goal::Remove);
        // What replaces something must stand before that goes. What another stack holds stands already.
        let stands = self.applying.problems.iter().all(|it| it.reason == Reason::HeldByStack)
            && self.prepared.as_deref().is_none_or(|set| set.unserved.is_empty() && set.refused.is_empty())
            && self.held_back.is_none()
            && self.readiness.allows_prune();
        if self.broken.is_some() || (!is_removal && !stands) {
            return;
        }
        if is_removal && self.inventory.entries.is_empty() {
            // Nothing is held, or what is held was forgotten.
            match context.orphans(self.desired.stack_id).await {
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
            Some((Reason::ContentPending, "the content of another stack, which may want it, is not at hand"))
        } else if !may_remove {
            Some((
                Reason::EpochUnconfirmed,
                "history may have forked: nothing is removed until an admin confirms the epoch",
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
        match context.prune(deletion, &self.wanted, false, &mut self.inventory, &mut self.deleted_uids).await {
            Ok(pruning) => self.pruning = pruning,
            Err(error) => self.broken = Some(error),
        }
    }

    /// How the wanted objects fare; what is not there is missing.
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
            // How somebody else's object fares says nothing about the stack.
            (Some(_), Some(reason)) if reason.is_about_foreign_object() => ObjectHealth::foreign(reason.as_str()),
            (Some(health), _) => health.clone(),
            (None, Some(reason)) => ObjectHealth::missing(reason.as_str()),
            (None, None) if self.applying.drifted.contains(object) => ObjectHealth::missing("others deleted it"),
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
        // The worst first, and of those a bounded number.
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
        // In an order that does not depend on which request came back first.
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
                Goal::Remove | Goal::Keep => None,
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

/// A problem with the record itself. What the server says of it quotes nothing secret.
fn of_record(reason: Reason, error: &ClusterError) -> ObjectProblem {
    let (group, kind, name) = (String::new(), "Secret".to_owned(), "inventory".to_owned());
    let record = ObjectRef { group, kind, namespace: None, name };
    let (refusal, retry_after) = (Some(error.clone()), error.retry_after());
    ObjectProblem { refusal, retry_after, ..ObjectProblem::failed(record, reason, error.to_string()) }
}
