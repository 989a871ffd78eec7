//! The outcome of reconciling a stack.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::{Health, ObjectRef, Revision, StackId, limits};

use crate::health::{NOT_CREATED, NOT_OF_THIS_STACK, ObjectHealth};
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::outcome::summary::describe;

/// How far a stack is from its goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The cluster has reached the goal.
    Done,
    /// The stack waits for something that resolves by itself. Reconcile it again soon.
    Waiting {
        /// Machine-readable reason.
        reason: Reason,
        /// Message for people: what the stack waits for.
        message: String,
        /// The objects that the stack waits for.
        objects: Vec<ObjectRef>,
    },
    /// The stack failed. Reconcile it again after a backoff.
    Failed {
        /// Machine-readable reason.
        reason: Reason,
        /// Message for people: what failed, and how to fix it.
        message: String,
        /// The objects that failed.
        objects: Vec<ObjectRef>,
    },
}

/// The outcome of one call to [`reconcile`](crate::Applier::reconcile) for one stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackOutcome {
    /// ID of the stack.
    pub stack_id: StackId,
    /// The applied revision; `None` for removals.
    pub revision: Option<Revision>,
    /// Whether the goal was to remove the stack.
    pub removal: bool,
    /// Whether the API server accepted every object of the revision. Depends neither on their health nor on the pruning
    /// of dropped objects.
    pub applied: bool,
    /// Whether a [`Fence`](crate::cluster::Fence) blocked a write of the pass. Then another process continues with the
    /// stack: do not report this outcome.
    pub interrupted: bool,
    /// How far the stack is from its goal.
    pub progress: Progress,
    /// Worst health of the stack's objects; unknown for removals.
    pub health: Health,
    /// Objects that are not healthy, worst first.
    pub unhealthy: Vec<Unhealthy>,
    /// Namespaces and definitions that the agent does not delete, because they contain objects of others.
    pub retained: Vec<Retained>,
    /// Fields that the manifests set and the agent leaves to other owners.
    pub yielded: Vec<Yielded>,
    /// Objects that other clients changed or deleted, and that the agent restored.
    pub corrected: Vec<ObjectRef>,
    /// Objects that other clients changed or deleted, and that the agent leaves as they are because the policy only
    /// reports drift, or because they are `contested`.
    pub drifted: Vec<ObjectRef>,
    /// The `drifted` objects that other clients change repeatedly. The agent does not restore them for a while.
    pub contested: Vec<ObjectRef>,
    /// Number of objects that the agent wrote or deleted.
    pub writes: usize,
    /// The delay that the API server requested before the next attempt; `None` if it requested none.
    pub retry_after: Option<Duration>,
}

/// An object that is not healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// The object.
    pub object: ObjectRef,
    /// Its health, reason and message.
    pub health: ObjectHealth,
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.health.reason)?;
        // A controller's message may quote the Secret. The agent's own does not.
        let is_own = matches!(self.health.reason.as_str(), NOT_CREATED | NOT_OF_THIS_STACK);
        if !self.health.message.is_empty() && (is_own || self.object.kind != "Secret") {
            write!(f, " ({})", self.health.message)?;
        }
        Ok(())
    }
}

/// A Namespace or definition that the agent does not delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// The object.
    pub object: ObjectRef,
    /// Message for people: which objects it contains.
    pub why: String,
}

impl fmt::Display for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stays: {}", self.object, self.why)
    }
}

/// A field that a manifest sets and the agent leaves to its owner in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yielded {
    /// The object with the field.
    pub object: ObjectRef,
    /// Path of the field, such as `.spec.replicas`.
    pub field: String,
    /// Message for people: the value in the cluster, its owner, and the value in the manifest.
    pub why: String,
}

impl fmt::Display for Yielded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.object, self.field, self.why)
    }
}

/// Summarizes problems as progress: `Failed` if any is a failure, `Waiting` otherwise, `Done` without problems.
pub(crate) fn progress(mut problems: Vec<ObjectProblem>, total: usize) -> Progress {
    // Failures come first. The order must not depend on which request returned first.
    problems.sort_by(|a, b| (a.waiting, &a.object, a.reason.as_str()).cmp(&(b.waiting, &b.object, b.reason.as_str())));
    let Some(first) = problems.first() else {
        return Progress::Done;
    };
    let waiting = first.waiting;
    problems.retain(|it| it.waiting == waiting);
    let Some(first) = problems.first() else {
        return Progress::Done;
    };
    let same = problems.iter().all(|it| it.reason == first.reason);
    let reason = if same { first.reason } else { Reason::SeveralReasons };
    let message = describe(&problems, total);
    let objects = problems.into_iter().map(|it| Arc::unwrap_or_clone(it.object)).take(limits::EVENT_OBJECTS).collect();
    if waiting { Progress::Waiting { reason, message, objects } } else { Progress::Failed { reason, message, objects } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ClusterError;

    #[test]
    fn fenced_write_is_waiting() {
        let object =
            || ObjectRef { group: String::new(), kind: "ConfigMap".to_owned(), namespace: None, name: "a".to_owned() };
        let of = |error: ClusterError| ObjectProblem::api(object(), &error);
        assert!(of(ClusterError::Fenced).waiting && !of(ClusterError::Fenced).is_lasting());
        let refused = of(ClusterError::Invalid("no".to_owned()));
        assert!(!refused.waiting && refused.is_lasting());
        assert!(!of(ClusterError::unavailable("away")).is_lasting());
        assert!(of(ClusterError::Webhook("failed".to_owned())).is_lasting());
        let waits = progress(vec![of(ClusterError::Fenced)], 1);
        assert!(matches!(waits, Progress::Waiting { .. }), "{waits:?}");
        let fails = progress(vec![of(ClusterError::Fenced), refused], 2);
        assert!(matches!(fails, Progress::Failed { .. }), "failures come first: {fails:?}");
    }
}
