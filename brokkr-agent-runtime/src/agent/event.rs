//! What tells one event from another.

use std::fmt;

use brokkr_core::model::{EventAction, EventOutcome, ObjectRef, Revision};
use brokkr_reconcile::Reason;

/// Why an event is told, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventReason {
    /// Everything of a revision is applied.
    Applied,
    /// What others had changed or deleted is right again.
    DriftCorrected,
    /// Nothing of the stack is left.
    Removed,
    /// The stack could not be made as it should be.
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

/// What came of a pass, as an event tells it.
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

/// An event without what differs from try to try: two in a row that are equal are told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) revision: Option<Revision>,
    pub(super) action: EventAction,
    pub(super) reason: EventReason,
    pub(super) objects: Vec<ObjectRef>,
}
