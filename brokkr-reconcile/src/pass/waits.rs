//! Which stacks wait for readiness, or for other stacks.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use brokkr_core::model::{Health, Revision, StackId};

use crate::applier::{Desired, Goal};
use crate::health::ObjectHealth;
use crate::pass::readiness::Readiness;
use crate::pass::stack_pass::StackPass;

/// Since when stacks wait for readiness, and which have reached it. Only in memory: after a restart the wait begins anew.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    since: HashMap<StackId, (Revision, Instant)>,
    /// The revision that is applied, and ready where that was asked for.
    reached: HashMap<StackId, Revision>,
}

impl Waits {
    /// Judges a stack after everything was applied.
    pub(crate) fn judge(&mut self, stack: &mut StackPass<'_>, now: Instant) {
        let id = stack.desired.stack_id;
        let Goal::Apply { revision, .. } = stack.desired.goal else {
            self.since.remove(&id);
            self.reached.remove(&id);
            return;
        };
        if !stack.is_applied() {
            return;
        }
        stack.readiness = match stack.desired.policies.wait {
            None => Readiness::NotAsked,
            Some(_) if stack.wanted.iter().all(|object| is_settled(stack.applying.health.get(object))) => {
                Readiness::Ready
            }
            Some(wait) => {
                let waiting = self.since.entry(id).or_insert((revision, now));
                if waiting.0 != revision {
                    *waiting = (revision, now);
                }
                let limit = Duration::from_secs(u64::from(wait.timeout_seconds));
                if now.saturating_duration_since(waiting.1) >= limit { Readiness::Stalled } else { Readiness::Pending }
            }
        };
        if stack.readiness.allows_prune() {
            self.reached.insert(id, revision);
            self.since.remove(&id);
        }
    }

    /// Why a stack must wait for others; `None` when all that it depends on stand.
    pub(crate) fn held_back(&self, stack: &StackPass<'_>, desired: &Desired) -> Option<String> {
        stack.desired.depends_on.iter().find_map(|id| match desired.goal_of(*id) {
            None => Some(format!("it depends on stack {id}, which this agent does not have")),
            Some(Goal::Apply { revision, .. }) if self.reached.get(id) == Some(revision) => None,
            Some(Goal::Apply { .. }) => Some(format!("it waits until stack {id} is applied and ready")),
            Some(Goal::Keep) => Some(format!("it waits for the content of stack {id}")),
            Some(Goal::Remove) => Some(format!("it depends on stack {id}, which is being removed")),
        })
    }

    pub(crate) fn keep_only(&mut self, there: impl Fn(StackId) -> bool) {
        self.since.retain(|id, _| there(*id));
        self.reached.retain(|id, _| there(*id));
    }
}

/// Whether nothing is to be waited for any more: what was suspended on purpose will not get ready by itself.
fn is_settled(health: Option<&ObjectHealth>) -> bool {
    health.is_some_and(|it| matches!(it.health, Health::Healthy | Health::Suspended))
}
