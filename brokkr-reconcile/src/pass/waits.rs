//! Waits of stacks for readiness, and for other stacks.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use brokkr_core::model::{Health, Revision, StackId};

use crate::applier::{Desired, Goal};
use crate::health::ObjectHealth;
use crate::pass::readiness::Readiness;
use crate::pass::stack_pass::StackPass;

/// When each stack began to wait for readiness, and which stacks are ready. Kept in memory only: after a restart the wait
/// starts again.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    since: HashMap<StackId, (Revision, Instant)>,
    /// The revision that is applied, and ready if the policy waits for readiness.
    reached: HashMap<StackId, Revision>,
}

impl Waits {
    /// Updates the readiness of a stack after it was applied.
    pub(crate) fn assess(&mut self, stack: &mut StackPass<'_>, now: Instant) {
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

    /// Returns why a stack waits for its dependencies; `None` if all of them are ready.
    pub(crate) fn held_back(&self, stack: &StackPass<'_>, desired: &Desired) -> Option<String> {
        stack.desired.depends_on.iter().find_map(|id| match desired.goal_of(*id) {
            None => Some(format!("the stack depends on stack {id}, which is not assigned to this agent")),
            Some(Goal::Apply { revision, .. }) if self.reached.get(id) == Some(revision) => None,
            Some(Goal::Apply { .. }) => Some(format!("waiting until stack {id} is applied and ready")),
            // What it holds stays, so it is there.
            Some(Goal::Hold) => None,
            Some(Goal::Keep) => Some(format!("waiting for the manifests of stack {id}")),
            Some(Goal::Remove) => Some(format!("the stack depends on stack {id}, which is being removed")),
        })
    }

    pub(crate) fn keep_only(&mut self, there: impl Fn(StackId) -> bool) {
        self.since.retain(|id, _| there(*id));
        self.reached.retain(|id, _| there(*id));
    }
}

/// Whether the wait for an object is over. A suspended object does not become ready by itself.
fn is_settled(health: Option<&ObjectHealth>) -> bool {
    health.is_some_and(|it| matches!(it.health, Health::Healthy | Health::Suspended))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use brokkr_core::model::{Policies, Wait};

    use super::*;
    use crate::applier::DesiredStack;
    use crate::cluster::ClusterError;
    use crate::ownership::inventory::Inventory;
    use crate::samples::{Sample, manifest};

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn waiting(sample: &Sample) -> DesiredStack {
        sample.desired(Policies { wait: Some(Wait { timeout_seconds: 60 }), ..Policies::default() })
    }

    /// A stack with one applied ConfigMap of this health; absent if the API server has not accepted it.
    fn applied<'a>(sample: &Sample, desired: &'a DesiredStack, health: Option<ObjectHealth>) -> StackPass<'a> {
        let set = Arc::new(sample.prepared_set(&[manifest("v1", "ConfigMap", "it")]));
        let inventory = Inventory::new(desired.stack_id);
        let mut stack = StackPass::new(desired, inventory, Default::default(), Some(set.clone()));
        let object = set.ready[0].object.clone();
        stack.applying.health.extend(health.map(|health| (object, health)));
        stack
    }

    #[test]
    fn only_healthy_and_suspended_objects_are_settled() {
        let health = |health| Some(ObjectHealth { health, reason: String::new(), message: String::new() });
        for (health, expected) in [
            (health(Health::Healthy), Readiness::Ready),
            (health(Health::Suspended), Readiness::Ready),
            (health(Health::Progressing), Readiness::Pending),
            (health(Health::Degraded), Readiness::Pending),
            (health(Health::Unknown), Readiness::Pending),
            (None, Readiness::Pending),
        ] {
            let sample = Sample::new();
            let desired = waiting(&sample);
            let mut stack = applied(&sample, &desired, health.clone());
            Waits::default().assess(&mut stack, Instant::now());
            assert_eq!(stack.readiness, expected, "{health:?}");
        }
    }

    #[test]
    fn wait_ends_at_timeout_and_restarts_with_a_revision() {
        let (sample, mut waits, now) = (Sample::new(), Waits::default(), Instant::now());
        let mut desired = waiting(&sample);
        let mut readiness_at = |desired: &DesiredStack, at| {
            let mut stack = applied(&sample, desired, None);
            waits.assess(&mut stack, at);
            stack.readiness
        };
        assert_eq!(readiness_at(&desired, now), Readiness::Pending);
        assert_eq!(readiness_at(&desired, now + TIMEOUT - Duration::from_millis(1)), Readiness::Pending);
        assert_eq!(readiness_at(&desired, now + TIMEOUT), Readiness::Stalled);
        if let Goal::Apply { revision, .. } = &mut desired.goal {
            *revision = revision.next();
        }
        assert_eq!(readiness_at(&desired, now + TIMEOUT), Readiness::Pending);
    }

    #[test]
    fn dependent_stack_waits_until_its_dependency_is_ready() {
        let (sample, other, mut waits) = (Sample::new(), Sample::new(), Waits::default());
        let mut dependent = sample.desired(Policies::default());
        dependent.depends_on = vec![other.stack];
        let base = waiting(&other);
        let with = |goal: Option<Goal>| {
            let stacks = goal.map(|goal| DesiredStack { goal, ..base.clone() }).into_iter().chain([dependent.clone()]);
            Desired { stacks: stacks.collect(), complete: true, may_remove: true }
        };
        let stack = applied(&sample, &dependent, None);
        let why = |waits: &Waits, goal| waits.held_back(&stack, &with(goal)).unwrap_or_default();
        assert!(why(&waits, None).contains("which is not assigned to this agent"));
        assert!(why(&waits, Some(Goal::Keep)).contains("waiting for the manifests"));
        assert_eq!(why(&waits, Some(Goal::Hold)), "");
        assert!(why(&waits, Some(Goal::Remove)).contains("is being removed"));
        assert!(why(&waits, Some(base.goal.clone())).contains("applied and ready"));

        // Applied, but not ready.
        waits.assess(&mut applied(&other, &base, None), Instant::now());
        assert!(why(&waits, Some(base.goal.clone())).contains("applied and ready"));
        waits.assess(&mut applied(&other, &base, Some(ObjectHealth::healthy())), Instant::now());
        assert_eq!(why(&waits, Some(base.goal.clone())), "");

        // A removal, or a missing entry in the target state, resets it.
        let removal = DesiredStack { goal: Goal::Remove, ..base.clone() };
        waits.assess(&mut applied(&other, &removal, None), Instant::now());
        assert!(why(&waits, Some(base.goal.clone())).contains("applied and ready"));
        waits.assess(&mut applied(&other, &base, Some(ObjectHealth::healthy())), Instant::now());
        waits.keep_only(|stack| stack != other.stack);
        assert!(why(&waits, Some(base.goal.clone())).contains("applied and ready"));
    }

    #[test]
    fn stack_that_is_not_applied_is_not_ready() {
        let sample = Sample::new();
        let desired = sample.desired(Policies::default());
        let ready = || applied(&sample, &desired, Some(ObjectHealth::healthy()));
        let broken = StackPass { broken: Some(ClusterError::unavailable("away")), ..ready() };
        let held_back = StackPass { held_back: Some("it waits".to_owned()), ..ready() };
        let unprepared = StackPass { prepared: None, ..ready() };
        for (stack, expected) in [(ready(), true), (broken, false), (held_back, false), (unprepared, false)] {
            let mut waits = Waits::default();
            let mut stack = stack;
            waits.assess(&mut stack, Instant::now());
            assert_eq!(waits.reached.contains_key(&sample.stack), expected);
        }
    }
}
