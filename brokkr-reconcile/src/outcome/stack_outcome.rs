//! What came of working on a stack.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::{Health, ObjectRef, Revision, StackId, limits};

use crate::health::ObjectHealth;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;
use crate::outcome::summary::describe;

/// How far a stack got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The goal is reached.
    Done,
    /// Something takes its time; look again soon.
    Waiting {
        /// Why.
        reason: Reason,
        /// For what, in words.
        message: String,
        /// The objects that are waited for.
        objects: Vec<ObjectRef>,
    },
    /// Something was refused; try again later.
    Failed {
        /// Why.
        reason: Reason,
        /// What, in words.
        message: String,
        /// The objects concerned.
        objects: Vec<ObjectRef>,
    },
}

/// What came of working on a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackOutcome {
    /// The stack.
    pub stack_id: StackId,
    /// The revision that was applied; absent for removals.
    pub revision: Option<Revision>,
    /// Whether the goal was to remove it.
    pub removal: bool,
    /// Whether the API server has accepted every object of the revision. How they fare since, and whether what the revision
    /// no longer has is gone, does not count.
    pub applied: bool,
    /// Whether a [`Fence`](crate::cluster::Fence) held back a write of the pass. Another process goes on with the stack, so do not
    /// report the rest of the outcome.
    pub interrupted: bool,
    /// How far it got.
    pub progress: Progress,
    /// How the objects fare; unknown for removals.
    pub health: Health,
    /// Objects that do not fare well, the worst first.
    pub unhealthy: Vec<Unhealthy>,
    /// Objects that stay although they should go, because something of others is in them.
    pub retained: Vec<Retained>,
    /// Fields that the manifests name and others set.
    pub yielded: Vec<Yielded>,
    /// Objects that others had changed or deleted and that are right again.
    pub corrected: Vec<ObjectRef>,
    /// Objects that others changed or deleted and that stay so, because the policy is to report it only.
    pub drifted: Vec<ObjectRef>,
    /// Those among the drifted that somebody changes again and again: they are left alone for a while.
    pub contested: Vec<ObjectRef>,
    /// Objects written or deleted.
    pub writes: usize,
    /// How long the API server asked to wait before the next try, where it did.
    pub retry_after: Option<Duration>,
}

/// An object that does not fare well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// Which.
    pub object: ObjectRef,
    /// How it fares.
    pub health: ObjectHealth,
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.health.reason)?;
        // What controllers say of a Secret may quote it.
        if !self.health.message.is_empty() && self.object.kind != "Secret" {
            write!(f, " ({})", self.health.message)?;
        }
        Ok(())
    }
}

/// An object that stays although it should go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// Which.
    pub object: ObjectRef,
    /// What is in it, in words.
    pub why: String,
}

impl fmt::Display for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stays: {}", self.object, self.why)
    }
}

/// A field that a manifest names and that is left to whoever set it in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yielded {
    /// Whose.
    pub object: ObjectRef,
    /// The field, such as `.spec.replicas`.
    pub field: String,
    /// Whose value it has and what the manifest says, in words.
    pub why: String,
}

impl fmt::Display for Yielded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.object, self.field, self.why)
    }
}

/// The progress that these problems leave.
pub(crate) fn progress(mut problems: Vec<ObjectProblem>, total: usize) -> Progress {
    // Failures weigh more than waits; the order must not depend on which request came back first.
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
    fn fenced_write_is_no_failure() {
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
        assert!(matches!(fails, Progress::Failed { .. }), "failures weigh more: {fails:?}");
    }
}
