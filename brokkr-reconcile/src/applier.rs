//! What the agent's loop needs from whoever changes the cluster.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::{Policies, Revision, StackId};

use crate::cluster::ClusterError;
use crate::outcome::stack_outcome::StackOutcome;

/// Everything that the agent is to hold: complete, so that nothing is taken from one stack that another wants.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// One entry per stack. A stack that is held and has no entry is left as it is.
    pub stacks: Vec<DesiredStack>,
    /// Whether the content of every stack that is to be applied is at hand. Otherwise nothing is pruned: what one
    /// stack drops may be what that other one takes over.
    pub complete: bool,
    /// Whether anything may be removed or pruned at all; false while history may have forked.
    pub may_remove: bool,
}

impl Desired {
    /// What should become of a stack; `None` without an entry.
    pub(crate) fn goal_of(&self, stack: StackId) -> Option<&Goal> {
        self.stacks.iter().find(|it| it.stack_id == stack).map(|it| &it.goal)
    }
}

/// What should become of one stack.
#[derive(Debug, Clone)]
pub struct DesiredStack {
    /// The stack.
    pub stack_id: StackId,
    /// Its name, for people.
    pub name: String,
    /// How to treat its objects.
    pub policies: Policies,
    /// Stacks that must be applied, and ready where their policy waits for that, before this one is.
    pub depends_on: Vec<StackId>,
    /// What should become of it.
    pub goal: Goal,
}

/// What should become of a stack.
#[derive(Debug, Clone)]
pub enum Goal {
    /// The cluster holds exactly these objects of it.
    Apply {
        /// The revision.
        revision: Revision,
        /// The objects.
        manifests: Arc<ManifestSet>,
    },
    /// The cluster holds nothing of it.
    Remove,
    /// Whatever is there stays: its content is not at hand, or its removal is not allowed now.
    Keep,
}

/// A stack of which something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldStack {
    /// The stack.
    pub stack_id: StackId,
    /// Objects held.
    pub objects: usize,
}

/// Why nothing could be done at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplierError {
    /// What is held cannot be known now. It is not "nothing".
    #[error("the inventory cannot be read: {0}")]
    Inventory(#[source] ClusterError),
    /// The record of what is held does not make sense; a person must look.
    #[error("the inventory {name} is damaged: {problem}")]
    Damaged {
        /// The object that keeps it.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// What the cluster serves cannot be known now.
    #[error("discovery failed: {0}")]
    Discovery(#[source] ClusterError),
}

impl ApplierError {
    /// How long the API server asked to wait before the next try, where it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Inventory(error) | Self::Discovery(error) => error.retry_after(),
            Self::Damaged { .. } => None,
        }
    }
}

/// Makes a cluster hold what is desired.
///
/// The [`Reconciler`](crate::pass::reconciler::Reconciler) implements it on a Kubernetes API; a host may bring another one that writes to a
/// repository or hands over to another tool.
///
/// # To ensure correctness
///
/// 1. **Level, not edge.** `reconcile` compares what is desired with what is there and may be called with
///    the same arguments any number of times; when nothing is to be done it writes nothing. Observing is a call that finds nothing to do.
/// 2. **Nothing is removed** unless a stack's goal says so ([`Goal::Remove`], or [`Goal::Apply`] with a set that no
///    longer has the object) and `may_remove` is set. A stack without an entry, an error, or something that cannot be seen removes nothing.
/// 3. **Stacks do not block each other.** One stack's failure or wait is its own outcome.
/// 4. **`held` is complete or an error.** It names every stack of which something may still exist.
/// 5. After a crash at any moment the next call goes on from what is there: what was created is known, what was not is
///    created.
/// 6. An outcome says [`Progress::Done`](crate::outcome::stack_outcome::Progress::Done) only if the whole goal is reached.
#[async_trait]
pub trait Applier: Debug + Send + Sync + 'static {
    /// The stacks of which something is held.
    async fn held(&self) -> Result<Vec<HeldStack>, ApplierError>;

    /// Resolves when something that is held seems to have been changed by others: the stacks to be looked at. Only a
    /// hint; what it misses the next comparison finds. Cancellation safe. Without anything that watches it never resolves.
    async fn changed(&self) -> BTreeSet<StackId> {
        std::future::pending().await
    }

    /// Works on the stacks in `due`, given everything that is desired. Returns one outcome for each of them that
    /// has an entry. Other stacks are touched only where an object changes hands.
    ///
    /// Several calls may run at the same time; a stack that another call works on already is left out.
    async fn reconcile(&self, desired: &Desired, due: &BTreeSet<StackId>) -> Result<Vec<StackOutcome>, ApplierError>;
}

const _: Option<&dyn Applier> = None;
