//! A plan is the dry run of a pass: what the reconciler would do now with each object, why, and which fields would change.
//!
//! The pass's own code decides the steps. Where it would write, the plan sends a dry run to the API server and compares the
//! result with the live object.

mod diff;

use std::fmt;
use std::sync::Arc;

use brokkr_core::model::{ObjectRef, Revision, StackId};
use futures::FutureExt as _;
use serde::Serialize;

use crate::applier::{ApplierError, Desired, DesiredStack, Goal};
use crate::apply::decide::{ExistingObject, Step};
use crate::apply::progress::Applying;
use crate::apply::write::{WriteError, WriteOptions};
use crate::cluster::ClusterError;
use crate::context::PassContext;
use crate::context::bookkeeping::Bookkeeping;
use crate::desired::prepare::{Prepared, unserved};
use crate::health::JobEnd;
use crate::observed::observer::{CONCURRENCY, concurrently};
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::ownership::inventory::{Entry, Inventory, Owner};
use crate::ownership::objects::Objects;
use crate::pass::reconciler::Reconciler;
use crate::pass::setup::PassSetup;
pub use crate::plan::diff::FieldChange;
use crate::plan::diff::changes;
use crate::prune::phases::{Removal, RemovalScope};
use crate::remedy::fix;

/// What the reconciler would do now. `Display` prints it for people.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// One entry per stack.
    pub stacks: Vec<StackPlan>,
}

/// What the reconciler would do with one stack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StackPlan {
    /// ID of the stack.
    pub stack_id: StackId,
    /// Name of the stack.
    pub name: String,
    /// The revision to apply; absent for removals and for stacks that stay unchanged.
    pub revision: Option<Revision>,
    /// The objects of the stack, including the unchanged ones.
    pub objects: Vec<PlannedObject>,
}

/// What the reconciler would do with one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedObject {
    /// The object.
    pub object: ObjectRef,
    /// The action.
    pub action: PlannedAction,
    /// Reason in one word; empty if the action needs none.
    pub reason: String,
    /// Explanation for people.
    pub message: String,
    /// The fields that a write would change; empty for new objects.
    pub changes: Vec<FieldChange>,
}

/// The action for one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlannedAction {
    /// Create the object.
    Create,
    /// Update our object, because its manifest changed.
    Update,
    /// Nothing: the object is in its desired state.
    Unchanged,
    /// Repair or only report the change or deletion by another client, as the policy says.
    Drift,
    /// None: another client owns the object or some of its fields.
    Conflict,
    /// None: another stack of this agent holds the object.
    HeldByStack,
    /// Delete the object.
    Prune,
    /// Keep the object, and end our ownership.
    Release,
    /// Keep the object for now, because it contains objects of others.
    Retained,
    /// None: a problem prevents any action now.
    Blocked,
}

impl Reconciler {
    /// Returns what [`reconcile`](crate::applier::Applier::reconcile) would do now for all stacks. Writes nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the inventory or discovery cannot be read.
    pub async fn plan(&self, desired: &Desired) -> Result<Plan, ApplierError> {
        let shared = &self.shared;
        let inventories = shared.keeper.load(&*shared.cluster).await?;
        let discovery = shared.cluster.discover().await.map_err(ApplierError::Discovery)?;
        let setup = PassSetup::new(shared, desired, |stack| shared.prepare(stack, &discovery));
        let books = Bookkeeping::default();
        books.claims().set_wants(setup.wants(), setup.tenants());
        inventories.values().for_each(|inventory| books.claims().set_held(inventory));
        let context = setup.context(&books, &discovery);
        let mut plan = Plan::default();
        for stack in &desired.stacks {
            let nothing = Inventory::new(stack.stack_id);
            let inventory = inventories.get(&stack.stack_id).unwrap_or(&nothing);
            let owner = Owner { generator: stack.tenant.generator_id, name: stack.tenant.name.clone() };
            let writer = shared.writer(Some(&owner));
            let context = context.written_by(writer.as_ref());
            let mut objects = Vec::new();
            let mut wanted = Arc::default();
            if let Some(set) = setup.prepared(stack.stack_id) {
                wanted = set.objects.clone();
                let (steps, failed) =
                    context.decide_steps(stack, &set.ready, inventory, &mut Applying::default()).await;
                objects.extend(failed.into_iter().map(PlannedObject::blocked));
                let previews = steps.into_iter().map(|(prepared, step)| {
                    let entry = inventory.entries.get(&prepared.object);
                    context.preview(stack, prepared, entry, step).boxed()
                });
                objects.extend(concurrently(previews, CONCURRENCY).await);
                let unserved = set.unserved.iter().map(unserved);
                objects.extend(unserved.chain(set.refused.iter().cloned()).map(PlannedObject::blocked));
            }
            if !matches!(stack.goal, Goal::Keep | Goal::Hold) {
                objects.extend(context.preview_removals(stack, desired, inventory, &wanted).await);
            }
            objects.sort_by(|a, b| a.object.cmp(&b.object));
            let revision = match &stack.goal {
                Goal::Apply { revision, .. } => Some(*revision),
                Goal::Remove | Goal::Keep | Goal::Hold => None,
            };
            plan.stacks.push(StackPlan { stack_id: stack.stack_id, name: stack.name.clone(), revision, objects });
        }
        Ok(plan)
    }
}

impl PassContext<'_> {
    async fn preview(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        entry: Option<&Entry>,
        step: Step,
    ) -> PlannedObject {
        let planned = |action| PlannedObject::new(&prepared.object, action);
        let because = |action, reason: &str, message: &str| planned(action).because(reason, message);
        let (action, existing) = match &step {
            Step::Unchanged { .. } | Step::Yield { .. } => return planned(PlannedAction::Unchanged),
            Step::Ended(JobEnd::Complete) => {
                return because(PlannedAction::Unchanged, "Finished", "the Job completed and was deleted afterwards");
            }
            Step::Ended(JobEnd::Failed(reason)) => {
                let message = format!("the Job failed ({reason}) and was deleted afterwards");
                return because(PlannedAction::Unchanged, "JobFailed", &message);
            }
            Step::Use { .. } => {
                return because(
                    PlannedAction::Unchanged,
                    "Used",
                    "the object existed before, and the stack only uses it",
                );
            }
            Step::ReportDrift => return because(PlannedAction::Drift, "Reported", "the policy only reports drift"),
            Step::Problem(problem) => return PlannedObject::blocked(problem.clone()),
            Step::Create { drifted } => {
                let action = if *drifted { PlannedAction::Drift } else { PlannedAction::Create };
                let (reason, message) = if *drifted { ("Deleted", "another client deleted it") } else { ("", "") };
                return match self.write(stack, prepared, WriteOptions { entry, existing: None, dry_run: true }).await {
                    // The same revision creates its Namespace or its kind, so a dry run is not possible.
                    Ok(_) | Err(WriteError::Api(ClusterError::NotFound(_))) => because(action, reason, message),
                    Err(error) => PlannedObject::blocked(self.problem(prepared, error)),
                };
            }
            Step::Update(existing) => (PlannedAction::Update, existing),
            Step::Correct(existing) => (PlannedAction::Drift, existing),
            Step::Take { existing, .. } => (PlannedAction::Update, existing),
        };
        match self.what_would_change(stack, prepared, entry, existing).await {
            Ok(changes) => PlannedObject { changes, ..planned(action) },
            Err(error) => PlannedObject::blocked(self.problem(prepared, error)),
        }
    }

    async fn what_would_change(
        &self,
        stack: &DesiredStack,
        prepared: &Prepared,
        entry: Option<&Entry>,
        existing: &ExistingObject,
    ) -> Result<Vec<FieldChange>, WriteError> {
        let at = prepared.kind.at(prepared.object.namespace.as_deref(), &prepared.object.name);
        let live = self.cluster.get(&at).await.map_err(WriteError::Api)?.unwrap_or_default();
        let applied =
            self.write(stack, prepared, WriteOptions { entry, existing: Some(existing), dry_run: true }).await?;
        Ok(changes(&prepared.object, &live, &applied.object))
    }

    async fn preview_removals(
        &self,
        stack: &DesiredStack,
        desired: &Desired,
        inventory: &Inventory,
        wanted: &Objects,
    ) -> Vec<PlannedObject> {
        let deleted_uids = inventory.uids();
        let wanted_uids = inventory.uids_of(wanted);
        let mut planned = Vec::new();
        for (object, entry) in inventory.entries.iter().filter(|(object, _)| !wanted.contains(*object)) {
            let blocked =
                |reason, message: &str| PlannedObject::blocked(ObjectProblem::waiting(object.clone(), reason, message));
            let action = |action| PlannedObject::new(object, action);
            let owner = {
                let claims = self.claims();
                let is_taker =
                    |owner: &StackId| *owner != stack.stack_id && !claims.are_strangers(*owner, stack.stack_id);
                claims.owner(object).filter(is_taker)
            };
            let one = if let Some(owner) = owner {
                let message = format!("stack {owner} takes over the object");
                action(PlannedAction::Release).because("HandedOver", &message)
            } else if !desired.may_remove {
                blocked(
                    Reason::EpochUnconfirmed,
                    "the broker's history may have forked: the agent removes nothing until an admin confirms the epoch",
                )
            } else if !desired.complete {
                blocked(
                    Reason::ContentPending,
                    "the manifests of another stack, which may contain the object, are not fetched yet",
                )
            } else {
                let scope = RemovalScope {
                    deletion: stack.policies.deletion,
                    stack: stack.stack_id,
                    deleted_uids: &deleted_uids,
                    wanted_uids: &wanted_uids,
                };
                match self.decide_removal(object, entry, &scope).await {
                    Ok(Removal::Forget) => continue,
                    Ok(Removal::UnderWay(_) | Removal::Delete(..)) => action(PlannedAction::Prune),
                    Ok(Removal::Release(..)) => action(PlannedAction::Release),
                    Ok(Removal::Retain(what)) => action(PlannedAction::Retained).because("NotEmpty", &what),
                    Ok(Removal::Problem(problem)) => PlannedObject::blocked(problem),
                    Err(error) => PlannedObject::blocked(ObjectProblem::api(object.clone(), &error)),
                }
            };
            planned.push(one);
        }
        planned
    }
}

impl PlannedObject {
    fn new(object: &ObjectRef, action: PlannedAction) -> Self {
        Self { object: object.clone(), action, reason: String::new(), message: String::new(), changes: Vec::new() }
    }

    fn because(self, reason: &str, message: &str) -> Self {
        Self { reason: reason.to_owned(), message: message.to_owned(), ..self }
    }

    fn blocked(problem: ObjectProblem) -> Self {
        let action = match problem.reason {
            Reason::HeldByStack => PlannedAction::HeldByStack,
            Reason::Conflict | Reason::HeldByAnotherAgent | Reason::NotOwned | Reason::Replaced => {
                PlannedAction::Conflict
            }
            _ => PlannedAction::Blocked,
        };
        let remedy = problem.remedy.map(|remedy| fix(&problem.message, &remedy)).unwrap_or_default();
        Self::new(&problem.object, action).because(problem.reason.as_str(), &format!("{}{remedy}", problem.message))
    }
}

impl Plan {
    /// Returns the number of objects that are not [`Unchanged`](PlannedAction::Unchanged).
    pub fn changes(&self) -> usize {
        let idle = |it: &&PlannedObject| it.action != PlannedAction::Unchanged;
        self.stacks.iter().map(|stack| stack.objects.iter().filter(idle).count()).sum()
    }
}

impl fmt::Display for PlannedAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
            Self::Drift => "drift",
            Self::Conflict => "conflict",
            Self::HeldByStack => "held by stack",
            Self::Prune => "prune",
            Self::Release => "release",
            Self::Retained => "retained",
            Self::Blocked => "blocked",
        })
    }
}

/// Prints every object that is not unchanged, and the number of the others.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stack in &self.stacks {
            let revision = stack.revision.map(|it| format!(" revision {it}")).unwrap_or_default();
            writeln!(f, "stack {} ({}){revision}", stack.name, stack.stack_id)?;
            let (unchanged, others): (Vec<_>, Vec<_>) =
                stack.objects.iter().partition(|it| it.action == PlannedAction::Unchanged);
            for planned in others {
                write!(f, "  {:<13} {}", planned.action.to_string(), planned.object)?;
                if !planned.reason.is_empty() {
                    write!(f, "  {}", planned.reason)?;
                }
                if !planned.message.is_empty() {
                    write!(f, ": {}", planned.message)?;
                }
                writeln!(f)?;
                for change in &planned.changes {
                    writeln!(f, "      {change}")?;
                }
            }
            if !unchanged.is_empty() {
                writeln!(f, "  {} unchanged", unchanged.len())?;
            }
        }
        Ok(())
    }
}
