//! Events, and when two of them are equal.

use std::fmt;

use brokkr_core::model::{EventAction, EventOutcome, ObjectRef, Revision};
use brokkr_reconcile::Reason;

/// The reason of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventReason {
    /// All objects of a revision are applied.
    Applied,
    /// The agent restored objects that other clients changed or deleted.
    DriftCorrected,
    /// All objects of the stack are removed.
    Removed,
    /// The stack failed.
    Failed(Reason),
}

impl fmt::Display for EventReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applied => "Applied",
            Self::DriftCorrected => "DriftCorrected",
            Self::Removed => "Removed",
            Self::Failed(reason) => reason.as_str(),
        })
    }
}

/// The content of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Occurrence {
    pub(super) reason: EventReason,
    pub(super) message: String,
    pub(super) objects: Vec<ObjectRef>,
}

impl Occurrence {
    pub(super) fn outcome(&self) -> EventOutcome {
        match self.reason {
            EventReason::Failed(_) => EventOutcome::Failure,
            EventReason::Applied | EventReason::DriftCorrected | EventReason::Removed => EventOutcome::Success,
        }
    }
}

/// The parts of an event that do not change between attempts. The agent reports equal consecutive events once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) revision: Option<Revision>,
    pub(super) action: EventAction,
    pub(super) reason: EventReason,
    pub(super) objects: Vec<ObjectRef>,
}
