//! Deletes stacks whose time is over.

use std::time::Duration;

use async_trait::async_trait;
use brokkr_core::model::{Stack, StackId, Timestamp};

use crate::controller::{Command, Controller, Interest, Own, Pace, Plan, Reads};
use crate::error::BrokerResult;

/// How long before its end the end of a stack is announced; directly if its life is shorter.
const NOTICE: Duration = Duration::from_secs(3600);
/// Stacks a minute, so that people can intervene when a mistake ends many.
const PACE: Pace = Pace::per_minute(100);

/// Announces the ends of stacks, and deletes them when they have come, unless they are protected against deletion.
#[derive(Debug)]
pub(crate) struct StackExpiry;

#[async_trait]
impl Controller for StackExpiry {
    type Key = StackId;
    type Facts = Stack;

    fn name(&self) -> &str {
        "stack-expiry"
    }

    fn interest(&self) -> Interest<StackId> {
        Interest::new().stacks(|stack| (stack.is_active() && stack.expires_at.is_some()).then_some(stack.id))
    }

    fn pace(&self) -> Option<Pace> {
        Some(PACE)
    }

    async fn observe(&self, reads: &Reads, id: &StackId) -> BrokerResult<Option<Stack>> {
        reads.stack(*id).await
    }

    fn decide(&self, stack: &Stack, now: Timestamp) -> Plan {
        let Some(end) = stack.expires_at.filter(|_| stack.is_active()) else {
            return Plan::nothing();
        };
        let (plan, notice) = (Plan::nothing(), end.minus(NOTICE));
        match stack.expiry_announced_at {
            None if now < notice => plan.wake_at(notice),
            None => plan.command(Command::own(Own::AnnounceExpiry(stack.id, stack.version))).wake_at(end),
            // The end of the protection wakes the stack.
            Some(_) if stack.deletion_protection => plan,
            Some(_) if now < end => plan.wake_at(end),
            Some(_) => plan.command(Command::own(Own::ExpireStack(stack.id, stack.version))),
        }
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};
    use brokkr_core::model::{GeneratorId, Policies, ReleaseMode, StackPhase, Version};

    use super::*;

    fn stack(expires_at: Option<Timestamp>, expiry_announced_at: Option<Timestamp>) -> Stack {
        let now = SystemClock.now();
        Stack {
            id: StackId::generate(),
            generator_id: GeneratorId::SYSTEM,
            name: "preview".parse().expect("a name"),
            description: String::new(),
            labels: Default::default(),
            annotations: Default::default(),
            targeting: None,
            policies: Policies::default(),
            depends_on: Vec::new(),
            release: ReleaseMode::Immediate,
            suspended: None,
            deletion_protection: false,
            expires_at,
            expiry_announced_at,
            phase: StackPhase::Active,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }

    #[test]
    fn end_is_announced_before_the_stack_is_deleted() {
        #[derive(Debug, PartialEq)]
        enum Does {
            Nothing,
            Announces,
            Expires,
        }
        use Does::{Announces, Expires, Nothing};
        let now = SystemClock.now();
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let (soon, later) = (Some(now.plus(minutes(30))), now.plus(minutes(90)));
        for (end, announced, expected, wake) in [
            (None, false, Nothing, None),
            (Some(later), false, Nothing, Some(now.plus(minutes(30)))),
            (Some(now.plus(NOTICE)), false, Announces, Some(now.plus(NOTICE))),
            (soon, false, Announces, soon),
            (soon, true, Nothing, soon),
            // Never announced, because no broker was available: the deletion waits for the announcement.
            (Some(now), false, Announces, Some(now)),
            (Some(now), true, Expires, None),
            (Some(now.minus(minutes(600))), true, Expires, None),
        ] {
            let stack = stack(end, announced.then_some(now));
            let plan = StackExpiry.decide(&stack, now);
            let commands = match expected {
                Nothing => vec![],
                Announces => vec![Command::own(Own::AnnounceExpiry(stack.id, stack.version))],
                Expires => vec![Command::own(Own::ExpireStack(stack.id, stack.version))],
            };
            assert_eq!((plan.commands(), plan.next_wake()), (&commands[..], wake), "{end:?} {announced} {expected:?}");
        }
    }

    #[test]
    fn protected_stack_is_announced_and_stays() {
        let now = SystemClock.now();
        let unannounced = Stack { deletion_protection: true, ..stack(Some(now), None) };
        let announces = Command::own(Own::AnnounceExpiry(unannounced.id, unannounced.version));
        assert_eq!(StackExpiry.decide(&unannounced, now).commands(), [announces]);
        let announced = Stack { expiry_announced_at: Some(now), ..unannounced };
        assert_eq!(StackExpiry.decide(&announced, now), Plan::nothing());
    }

    #[test]
    fn stack_in_deletion_needs_nothing() {
        let now = SystemClock.now();
        let deleting = Stack { phase: StackPhase::Deleting, ..stack(Some(now), Some(now)) };
        assert_eq!(StackExpiry.decide(&deleting, now), Plan::nothing());
    }
}
