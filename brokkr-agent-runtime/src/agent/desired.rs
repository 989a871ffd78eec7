//! Converts a target state to the desired state of the applier.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokkr_core::model::{GeneratorId, Health, StackId};
use brokkr_core::protocol::{EntryAction, TargetEntry, TargetState, Tenant};
use brokkr_reconcile::{Desired, DesiredStack, Goal, HeldStack, Progress, Reason, StackOutcome};

use super::contents::Contents;

/// Number of objects that unconfirmed removals may remove in one pass, independent of the number of held objects.
const BUDGET_FLOOR: usize = 100;

/// Converts a target state, and returns the removals that exceed the budget.
pub(super) fn desired<'s>(
    state: &'s TargetState,
    contents: &Contents,
    held: &[HeldStack],
    may_remove: bool,
) -> (Desired, Vec<&'s TargetEntry>) {
    let objects = |id: StackId| held.iter().find(|it| it.stack_id == id).map_or(0, |it| it.objects);
    let is_unconfirmed = |it: &&TargetEntry| it.action == EntryAction::Remove && !it.confirmed;
    let unconfirmed: usize = state.entries.iter().filter(is_unconfirmed).map(|it| objects(it.stack_id)).sum();
    let total: usize = held.iter().map(|it| it.objects).sum();
    let within_budget = unconfirmed <= BUDGET_FLOOR.max(total / 2);
    let over_budget = if within_budget { Vec::new() } else { state.entries.iter().filter(is_unconfirmed).collect() };
    let goal = |entry: &TargetEntry| match entry.action {
        EntryAction::Remove if entry.confirmed || within_budget => Goal::Remove,
        EntryAction::Remove => Goal::Keep,
        EntryAction::Apply => match (contents.get(entry), entry.revision) {
            (Some(manifests), Some(revision)) => Goal::Apply { revision, manifests },
            _ => Goal::Keep,
        },
    };
    let tenants: BTreeMap<GeneratorId, Arc<Tenant>> =
        state.tenants.iter().map(|it| (it.generator_id, Arc::new(it.clone()))).collect();
    let tenant = |id: GeneratorId| tenants.get(&id).cloned().unwrap_or_else(|| Arc::new(Tenant::without_grant(id)));
    let stack = |entry: &TargetEntry| DesiredStack {
        stack_id: entry.stack_id,
        name: entry.stack_name.clone(),
        tenant: tenant(entry.generator_id),
        policies: tenant(entry.generator_id).rules.limit(entry.policies.clone()),
        depends_on: entry.depends_on.clone(),
        goal: goal(entry),
    };
    let at_hand = |entry: &TargetEntry| entry.action == EntryAction::Remove || contents.get(entry).is_some();
    let complete = state.entries.iter().all(at_hand);
    (Desired { stacks: state.entries.iter().map(stack).collect(), complete, may_remove }, over_budget)
}

/// Returns the outcome of an entry that was not passed to the applier.
pub(super) fn not_done(entry: &TargetEntry, reason: Reason, message: String) -> StackOutcome {
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
