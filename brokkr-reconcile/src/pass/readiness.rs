//! The wait for readiness after all objects are applied.

use brokkr_core::model::Health;

use crate::outcome::reason::Reason;
use crate::outcome::stack_outcome::{Progress, Unhealthy};

/// State of a stack's wait for readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The policy does not wait for readiness.
    NotAsked,
    /// All objects are ready.
    Ready,
    /// Some objects are not ready, and the timeout has not expired.
    Pending,
    /// Some objects are not ready, and the timeout has expired.
    Stalled,
}

impl Readiness {
    /// Whether dropped objects may be pruned. Waits for readiness, so that their replacements work.
    pub(crate) fn allows_prune(self) -> bool {
        matches!(self, Self::NotAsked | Self::Ready)
    }

    /// Returns the progress of a stack that is applied completely.
    pub(crate) fn progress(self, unhealthy: &[Unhealthy]) -> Progress {
        if self.allows_prune() {
            return Progress::Done;
        }
        let waits: Vec<&Unhealthy> = unhealthy.iter().filter(|it| it.health.health != Health::Suspended).collect();
        let texts: Vec<String> = waits.iter().take(5).map(|it| it.to_string()).collect();
        let objects = waits.iter().map(|it| it.object.clone()).collect();
        let message = format!("not ready: {}", texts.join("; "));
        match self {
            Self::Stalled => Progress::Failed { reason: Reason::Stalled, message, objects },
            _ => Progress::Waiting { reason: Reason::NotReady, message, objects },
        }
    }
}
