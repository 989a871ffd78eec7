//! Waiting for readiness after everything is applied, where the policy asks for it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::health::ObjectHealth;
use super::job::Job;
use super::outcome::Unhealthy;
use super::{Goal, Progress};
use crate::model::{Health, Revision, StackId};

/// How far the wait for a stack's readiness is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
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
    pub(super) fn allows_prune(self) -> bool {
        matches!(self, Self::NotAsked | Self::Ready)
    }

    /// What is left to do when nothing but readiness is missing.
    pub(super) fn progress(self, unhealthy: &[Unhealthy]) -> Progress {
        if self.allows_prune() {
            return Progress::Done;
        }
        let waits: Vec<&Unhealthy> = unhealthy.iter().filter(|it| it.health.health != Health::Suspended).collect();
        let texts: Vec<String> = waits.iter().take(5).map(|it| it.to_string()).collect();
        let objects = waits.iter().map(|it| it.object.clone()).collect();
        let message = format!("not ready: {}", texts.join("; "));
        match self {
            Self::Stalled => Progress::Failed { reason: "Stalled".to_owned(), message, objects },
            _ => Progress::Waiting { reason: "NotReady".to_owned(), message, objects },
        }
    }
}

/// Since when stacks wait for readiness, and which have reached it. Only in memory: after a restart the wait begins anew.
#[derive(Debug, Default)]
pub(super) struct Waits {
    since: HashMap<StackId, (Revision, Instant)>,
    /// The revision that is applied, and ready where that was asked for.
    reached: HashMap<StackId, Revision>,
}

impl Waits {
    /// Judges a job after everything was applied.
    pub(super) fn judge(&mut self, job: &mut Job<'_>, now: Instant) {
        let id = job.stack.stack_id;
        let Goal::Apply { revision, .. } = job.stack.goal else {
            self.since.remove(&id);
            self.reached.remove(&id);
            return;
        };
        if !job.is_applied() {
            return;
        }
        job.readiness = match job.stack.policies.wait {
            None => Readiness::NotAsked,
            Some(_) if job.wanted.iter().all(|object| is_settled(job.applying.health.get(object))) => Readiness::Ready,
            Some(wait) => {
                let waiting = self.since.entry(id).or_insert((revision, now));
                if waiting.0 != revision {
                    *waiting = (revision, now);
                }
                let limit = Duration::from_secs(u64::from(wait.timeout_seconds));
                if now.saturating_duration_since(waiting.1) >= limit { Readiness::Stalled } else { Readiness::Pending }
            }
        };
        if job.readiness.allows_prune() {
            self.reached.insert(id, revision);
            self.since.remove(&id);
        }
    }

    /// Why a stack must wait for others; `None` when all that it depends on stand.
    pub(super) fn held_back(&self, job: &Job<'_>, goal_of: impl Fn(StackId) -> Option<Goal>) -> Option<String> {
        job.stack.depends_on.iter().find_map(|id| match goal_of(*id) {
            None => Some(format!("it depends on stack {id}, which this agent does not have")),
            Some(Goal::Apply { revision, .. }) if self.reached.get(id) == Some(&revision) => None,
            Some(Goal::Apply { .. }) => Some(format!("it waits until stack {id} is applied and ready")),
            Some(Goal::Keep) => Some(format!("it waits for the content of stack {id}")),
            Some(Goal::Remove) => Some(format!("it depends on stack {id}, which is being removed")),
        })
    }

    pub(super) fn keep_only(&mut self, there: impl Fn(StackId) -> bool) {
        self.since.retain(|id, _| there(*id));
        self.reached.retain(|id, _| there(*id));
    }
}

/// Whether nothing is to be waited for any more: what was suspended on purpose will not get ready by itself.
fn is_settled(health: Option<&ObjectHealth>) -> bool {
    health.is_some_and(|it| matches!(it.health, Health::Healthy | Health::Suspended))
}
