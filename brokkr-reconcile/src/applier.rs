//! The contract between the agent's loop and the code that changes the cluster.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::{Policies, Revision, StackId};
use brokkr_core::protocol::Tenant;

use crate::cluster::ClusterError;
use crate::outcome::stack_outcome::StackOutcome;

/// The desired state of every stack of an agent. It lists all stacks, so that an applier can tell whether another stack
/// wants an object before it removes it.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// One entry per stack. The applier leaves a held stack without an entry unchanged.
    pub stacks: Vec<DesiredStack>,
    /// Whether the manifests of every stack to apply are present. While this is false the applier prunes nothing: another
    /// stack, whose manifests are missing, may take over an object that this stack drops.
    pub complete: bool,
    /// Whether the applier may remove or prune anything. False while the broker's history may have forked.
    pub may_remove: bool,
}

impl Desired {
    /// The goal of a stack; `None` if the stack has no entry.
    pub(crate) fn goal_of(&self, stack: StackId) -> Option<&Goal> {
        self.stacks.iter().find(|it| it.stack_id == stack).map(|it| &it.goal)
    }
}

/// The desired state of one stack.
#[derive(Debug, Clone)]
pub struct DesiredStack {
    /// ID of the stack.
    pub stack_id: StackId,
    /// The stack's name, for messages.
    pub name: String,
    /// The generator that owns the stack, and what it may deploy.
    pub tenant: Arc<Tenant>,
    /// How the applier treats the stack's objects, for example on conflicts and drift.
    pub policies: Policies,
    /// Stacks that must be applied before this one. A dependency whose policy waits for readiness must also be ready.
    pub depends_on: Vec<StackId>,
    /// The state to reach.
    pub goal: Goal,
}

/// The goal for one stack.
#[derive(Debug, Clone)]
pub enum Goal {
    /// The cluster contains exactly these objects of the stack.
    Apply {
        /// The revision that `manifests` belong to.
        revision: Revision,
        /// All objects of the revision.
        manifests: Arc<ManifestSet>,
    },
    /// The cluster contains no object of the stack.
    Remove,
    /// The cluster stays unchanged, because the stack's manifests are missing or its removal is not allowed now.
    Keep,
    /// The cluster stays unchanged, because the broker says so. The applier reports drift and writes nothing.
    Hold,
}

/// A stack that the applier holds objects of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldStack {
    /// ID of the stack.
    pub stack_id: StackId,
    /// Number of objects that the applier holds.
    pub objects: usize,
}

/// An error that stops the whole call, not just one stack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplierError {
    /// The inventory cannot be read, so the held objects are unknown. Do not treat this as "nothing is held".
    #[error("the inventory cannot be read: {0}")]
    Inventory(#[source] ClusterError),
    /// The inventory has invalid content. A person must repair or delete it.
    #[error("the inventory {name} is damaged: {problem}")]
    Damaged {
        /// Name of the Secret that stores the inventory.
        name: String,
        /// What is invalid.
        problem: String,
    },
    /// The kinds that the cluster serves are unknown.
    #[error("discovery failed: {0}")]
    Discovery(#[source] ClusterError),
}

impl ApplierError {
    /// The delay that the API server requested before the next attempt; `None` if it requested none.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Inventory(error) | Self::Discovery(error) => error.retry_after(),
            Self::Damaged { .. } => None,
        }
    }
}

/// Brings a cluster to the desired state.
///
/// The [`Reconciler`](crate::pass::reconciler::Reconciler) implements it for a Kubernetes API. A host can supply its own,
/// for example one that commits manifests to a Git repository for another tool.
///
/// # Contract
///
/// 1. **Level-triggered.** `reconcile` compares the desired state with the actual state. It can run any number of times
///    with the same arguments, and writes nothing when they already agree.
/// 2. **No removal by default.** The applier removes an object only if `may_remove` is set and the stack's goal is
///    [`Goal::Remove`], or [`Goal::Apply`] with a set that no longer contains the object. A missing entry, an error, or
///    an object that cannot be read never removes anything.
/// 3. **Isolation.** The failure of one stack, or its wait, does not affect the others. Each stack has its own outcome.
/// 4. **`held` is complete or an error.** It lists every stack that may still have objects in the cluster.
/// 5. **Crash safety.** After a crash at any point, the next call continues from the actual state: it recognizes the
///    objects that earlier calls created, and creates the missing ones.
/// 6. **`Done` means done.** An outcome reports [`Progress::Done`](crate::outcome::stack_outcome::Progress::Done) only if
///    the cluster has reached the stack's whole goal.
///
/// # Examples
///
/// An applier that keeps the desired revision of each stack in memory:
///
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
/// use std::sync::{Mutex, PoisonError};
///
/// use async_trait::async_trait;
/// use brokkr_core::model::{Health, Revision, StackId};
/// use brokkr_reconcile::{Applier, ApplierError, Desired, Goal, HeldStack, Progress, StackOutcome};
///
/// #[derive(Debug, Default)]
/// struct Revisions(Mutex<BTreeMap<StackId, (Revision, usize)>>);
///
/// #[async_trait]
/// impl Applier for Revisions {
///     async fn held(&self) -> Result<Vec<HeldStack>, ApplierError> {
///         let stacks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
///         Ok(stacks.iter().map(|(id, (_, objects))| HeldStack { stack_id: *id, objects: *objects }).collect())
///     }
///
///     async fn reconcile(
///         &self,
///         desired: &Desired,
///         due: &BTreeSet<StackId>,
///     ) -> Result<Vec<StackOutcome>, ApplierError> {
///         let mut stacks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
///         let mut outcomes = Vec::new();
///         for stack in desired.stacks.iter().filter(|it| due.contains(&it.stack_id)) {
///             let revision = match &stack.goal {
///                 Goal::Apply { revision, manifests } => {
///                     stacks.insert(stack.stack_id, (*revision, manifests.objects().len()));
///                     Some(*revision)
///                 }
///                 Goal::Remove if desired.may_remove => {
///                     stacks.remove(&stack.stack_id);
///                     None
///                 }
///                 Goal::Remove | Goal::Keep | Goal::Hold => continue,
///             };
///             outcomes.push(StackOutcome {
///                 stack_id: stack.stack_id,
///                 revision,
///                 removal: revision.is_none(),
///                 applied: revision.is_some(),
///                 interrupted: false,
///                 progress: Progress::Done,
///                 health: Health::Unknown,
///                 unhealthy: Vec::new(),
///                 retained: Vec::new(),
///                 yielded: Vec::new(),
///                 corrected: Vec::new(),
///                 drifted: Vec::new(),
///                 contested: Vec::new(),
///                 writes: 1,
///                 retry_after: None,
///             });
///         }
///         Ok(outcomes)
///     }
/// }
/// ```
#[async_trait]
pub trait Applier: Debug + Send + Sync + 'static {
    /// Lists the stacks that have objects in the cluster.
    ///
    /// # Errors
    ///
    /// Returns an error, never an incomplete list, if the held objects cannot be read.
    async fn held(&self) -> Result<Vec<HeldStack>, ApplierError>;

    /// Waits until other clients seem to have changed held objects, and returns the stacks to reconcile.
    ///
    /// This is only a hint: the next periodic comparison finds the changes that it misses. Default: never resolves.
    /// Cancel safe: dropping the future loses no change.
    async fn changed(&self) -> BTreeSet<StackId> {
        std::future::pending().await
    }

    /// Reconciles the stacks in `due`. Returns one outcome for each of them that has an entry in `desired`; touches other
    /// stacks only to hand an object over.
    ///
    /// Calls may run concurrently. A call skips a stack that another call is reconciling, and returns no outcome for it.
    /// After a call is dropped, the next call continues from the actual state.
    ///
    /// # Errors
    ///
    /// Returns an error if the inventory or discovery cannot be read. The problems of single stacks are in their
    /// outcomes.
    async fn reconcile(&self, desired: &Desired, due: &BTreeSet<StackId>) -> Result<Vec<StackOutcome>, ApplierError>;
}

const _: Option<&dyn Applier> = None;
