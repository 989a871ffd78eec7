//! Waiting for readiness after everything is applied, where the policy asks for it.

use brokkr_core::model::Health;

use crate::outcome::reason::Reason;
use crate::outcome::stack_outcome::{Progress, Unhealthy};

/// How far the wait for a stack's readiness is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The policy asks for none.
    NotAsked,
    /// Everything is ready.
    Ready,
    /// Not everything is, and there is time left.
    Pending,
    /// Not everything is, and the time is over.
    Stalled,
}

impl Readiness {
    /// Whether what a new revision no longer has may go: only when what replaces it works.
    pub(crate) fn allows_prune(self) -> bool {
        matches!(self, Self::NotAsked | Self::Ready)
    }

    /// What is left to do when nothing but readiness is missing.
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
