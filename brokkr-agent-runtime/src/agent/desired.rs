//! Converts a target state to the desired state of the applier.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokkr_core::model::{GeneratorId, Health, StackId};
use brokkr_core::protocol::{EntryAction, TargetEntry, TargetState, Tenant};
use brokkr_reconcile::{Desired, DesiredStack, Goal, HeldStack, Progress, Reason, StackOutcome};

use super::manifest_cache::ManifestCache;
use super::removal_budget::RemovalBudget;

/// Converts a target state. Also returns all unconfirmed removals if they together exceed the budget; none is then performed.
pub(super) fn desired<'s>(
    state: &'s TargetState,
    manifests: &ManifestCache,
    held: &[HeldStack],
    may_remove: bool,
) -> (Desired, Vec<&'s TargetEntry>) {
    let held_objects = |id: StackId| held.iter().find(|it| it.stack_id == id).map_or(0, |it| it.objects);
    let is_unconfirmed = |it: &&TargetEntry| it.action == EntryAction::Remove && !it.confirmed;
    let unconfirmed: usize = state.entries.iter().filter(is_unconfirmed).map(|it| held_objects(it.stack_id)).sum();
    let total: usize = held.iter().map(|it| it.objects).sum();
    let within_budget = RemovalBudget::of_held(total).allows(unconfirmed);
    let over_budget = if within_budget { Vec::new() } else { state.entries.iter().filter(is_unconfirmed).collect() };
    let goal = |entry: &TargetEntry| match entry.action {
        EntryAction::Remove if entry.confirmed || within_budget => Goal::Remove,
        EntryAction::Remove => Goal::Keep,
        EntryAction::Hold => Goal::Hold,
        EntryAction::Apply => match (manifests.get(entry), entry.revision) {
            (Some(manifests), Some(revision)) => Goal::Apply { revision, manifests },
            _ => Goal::Keep,
        },
    };
    let tenants: BTreeMap<GeneratorId, Arc<Tenant>> =
        state.tenants.iter().map(|it| (it.generator_id, Arc::new(it.clone()))).collect();
    let tenant = |id: GeneratorId| tenants.get(&id).cloned().unwrap_or_else(|| Arc::new(Tenant::without_grant(id, "")));
    let stack = |entry: &TargetEntry| {
        let tenant = tenant(entry.generator_id);
        DesiredStack {
            stack_id: entry.stack_id,
            name: entry.stack_name.clone(),
            policies: tenant.rules.limit(entry.policies.clone()),
            tenant,
            depends_on: entry.depends_on.clone(),
            goal: goal(entry),
        }
    };
    let is_available = |entry: &TargetEntry| entry.action != EntryAction::Apply || manifests.get(entry).is_some();
    let complete = state.entries.iter().all(is_available);
    (Desired { stacks: state.entries.iter().map(stack).collect(), complete, may_remove }, over_budget)
}

/// Returns the outcome of an entry that was not passed to the applier.
pub(super) fn skipped_outcome(entry: &TargetEntry, reason: Reason, message: String) -> StackOutcome {
    StackOutcome {
        stack_id: entry.stack_id,
        revision: entry.revision,
        removal: entry.action == EntryAction::Remove,
        applied: false,
        interrupted: false,
        progress: Progress::Failed { reason, message, objects: Vec::new() },
        health: Health::Unknown,
        unhealthy: Vec::new(),
        retained: Vec::new(),
        yielded: Vec::new(),
        corrected: Vec::new(),
        drifted: Vec::new(),
        contested: Vec::new(),
        writes: 0,
        retry_after: None,
    }
}
