//! Checks a host's controller against its contract.

use std::time::Duration;

use brokkr_control::Actor;
use brokkr_control::controller::{Controller, Plan};
use brokkr_core::model::{Name, Timestamp};

use super::control_plane::ControlPlane;

/// Checks the rules of [`Controller`]'s contract for these keys, on the present state of the control plane: decisions are pure
/// and converge, repeated commands change nothing, and wake-ups are in time. It executes the commands as `principal`.
///
/// Prepare a state that needs work, and one that waits for a time, and check both. The control plane must not run the
/// controller itself, which would be faster.
///
/// ```
/// # brokkr::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
///
/// use brokkr::controller::{Command, Controller, Interest, Plan, Reads};
/// use brokkr::model::{Stack, Timestamp};
/// use brokkr::prelude::*;
/// use brokkr::testing::{ControlPlane, check_controller};
///
/// /// Deletes stacks an hour after their creation.
/// #[derive(Debug)]
/// struct OneHour;
///
/// #[async_trait]
/// impl Controller for OneHour {
///     type Key = StackId;
///     type Facts = Stack;
///
///     fn name(&self) -> &str {
///         "one-hour"
///     }
///
///     fn interest(&self) -> Interest<StackId> {
///         Interest::new().stacks(|stack| stack.is_active().then_some(stack.id))
///     }
///
///     async fn observe(&self, reads: &Reads, id: &StackId) -> BrokerResult<Option<Stack>> {
///         reads.stack(*id).await
///     }
///
///     fn decide(&self, stack: &Stack, now: Timestamp) -> Plan {
///         let end = stack.created_at.plus(Duration::from_secs(3600));
///         match stack.is_active() {
///             true if now >= end => Plan::nothing().command(Command::delete_stack(stack.id)),
///             true => Plan::nothing().wake_at(end),
///             false => Plan::nothing(),
///         }
///     }
/// }
///
/// let plane = ControlPlane::builder().paused_clock().start().await;
/// let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}});
/// let stack = plane.publish(StackSpec::named("shop"), [settings]).await;
/// check_controller(&plane, &OneHour, &plane.actor(), [stack]).await;
/// plane.advance(Duration::from_secs(3600)).await;
/// check_controller(&plane, &OneHour, &plane.actor(), [stack]).await;
/// assert!(plane.broker().stack_get(&plane.actor(), stack).await.is_err());
/// # });
/// ```
///
/// # Panics
///
/// Panics if the controller breaks a rule, with the rule and the key, or if an operation fails.
pub async fn check_controller<C: Controller>(
    plane: &ControlPlane,
    controller: &C,
    principal: &Actor,
    keys: impl IntoIterator<Item = C::Key>,
) {
    let name = controller.name();
    assert!(name.parse::<Name>().is_ok(), "the name {name:?} should be a DNS label");
    assert_eq!(name, controller.name(), "the name should be constant");
    for key in keys {
        check_key(plane, controller, principal, &key).await;
    }
}

async fn check_key<C: Controller>(plane: &ControlPlane, controller: &C, principal: &Actor, key: &C::Key) {
    let broker = plane.broker();
    let now = broker.now();
    let Some(plan) = decide(plane, controller, principal, key, now).await else {
        return;
    };
    for command in plan.commands() {
        for attempt in ["", "repeated "] {
            let executed = broker.execute(principal, command.clone()).await;
            executed.unwrap_or_else(|error| panic!("{key:?}: the {attempt}command {command:?} fails: {error}"));
        }
    }
    let Some(after) = decide(plane, controller, principal, key, now).await else {
        return;
    };
    assert!(
        after.commands().is_empty(),
        "{key:?}: after its commands, the controller should have none at the same time, but commands {:?}",
        after.commands()
    );
    if let Some(at) = after.next_wake() {
        assert!(at > now, "{key:?}: without commands, the wake-up should be later than now");
        let before = decide_at(plane, controller, principal, key, at.minus(Duration::from_micros(1))).await;
        let is_early = before.is_some_and(|plan| !plan.commands().is_empty());
        assert!(!is_early, "{key:?}: the controller should wake before it has commands");
    }
}

/// Decides twice, which must give one plan.
async fn decide<C: Controller>(
    plane: &ControlPlane,
    controller: &C,
    principal: &Actor,
    key: &C::Key,
    now: Timestamp,
) -> Option<Plan> {
    let facts = observe(plane, controller, principal, key).await?;
    let plan = controller.decide(&facts, now);
    assert_eq!(plan, controller.decide(&facts, now), "{key:?}: the same facts and time should give the same plan");
    Some(plan)
}

async fn decide_at<C: Controller>(
    plane: &ControlPlane,
    controller: &C,
    principal: &Actor,
    key: &C::Key,
    at: Timestamp,
) -> Option<Plan> {
    Some(controller.decide(&observe(plane, controller, principal, key).await?, at))
}

async fn observe<C: Controller>(
    plane: &ControlPlane,
    controller: &C,
    principal: &Actor,
    key: &C::Key,
) -> Option<C::Facts> {
    let observed = controller.observe(&plane.broker().reads(principal), key).await;
    observed.unwrap_or_else(|error| panic!("{key:?} cannot be observed: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use brokkr_control::BrokerResult;
    use brokkr_control::controller::{Command, Interest, Reads};
    use brokkr_core::model::{Stack, StackId, StackSpec};

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fault {
        None,
        /// Alternates.
        Impure,
        /// Commands the deletion of what is being deleted.
        NeverDone,
        /// Wakes at once, for ever.
        Spins,
        /// Wakes a minute late.
        Late,
    }

    #[derive(Debug)]
    struct OneHour(Fault, AtomicBool);

    #[async_trait]
    impl Controller for OneHour {
        type Key = StackId;
        type Facts = Option<Stack>;

        fn name(&self) -> &str {
            "one-hour"
        }

        fn interest(&self) -> Interest<StackId> {
            Interest::new().stacks(|stack| Some(stack.id))
        }

        async fn observe(&self, reads: &Reads, id: &StackId) -> BrokerResult<Option<Option<Stack>>> {
            let found = reads.stack(*id).await?;
            Ok(if self.0 == Fault::NeverDone { Some(found) } else { found.map(Some) })
        }

        fn decide(&self, stack: &Option<Stack>, now: Timestamp) -> Plan {
            let Some(stack) = stack else {
                let unknown = "00000000-0000-7000-8000-0000000000ff".parse().expect("an id");
                return Plan::nothing().command(Command::delete_stack(unknown));
            };
            let end = stack.created_at.plus(Duration::from_secs(3600));
            let is_odd = self.1.fetch_xor(true, Ordering::SeqCst);
            match self.0 {
                Fault::Impure if is_odd => Plan::nothing(),
                Fault::Spins if now < end => Plan::nothing().wake_at(now),
                Fault::Late if now < end => Plan::nothing().wake_at(end.plus(Duration::from_secs(60))),
                _ if now < end => Plan::nothing().wake_at(end),
                _ => Plan::nothing().command(Command::delete_stack(stack.id)),
            }
        }
    }

    /// Checks a controller before and after the end of a stack.
    async fn check(fault: Fault) {
        let plane = ControlPlane::builder().paused_clock().start().await;
        let made = plane.broker().stack_create(&plane.actor(), None, StackSpec::named("shop")).await;
        let stack = made.expect("a stack").id;
        let controller = OneHour(fault, AtomicBool::new(false));
        check_controller(&plane, &controller, &plane.actor(), [stack]).await;
        plane.advance(Duration::from_secs(3600)).await;
        check_controller(&plane, &controller, &plane.actor(), [stack]).await;
    }

    #[tokio::test]
    async fn sound_controller_passes() {
        check(Fault::None).await;
    }

    #[tokio::test]
    #[should_panic(expected = "should give the same plan")]
    async fn impure_decision_is_detected() {
        check(Fault::Impure).await;
    }

    #[tokio::test]
    #[should_panic(expected = "should have none at the same time")]
    async fn endless_commands_are_detected() {
        check(Fault::NeverDone).await;
    }

    #[tokio::test]
    #[should_panic(expected = "later than now")]
    async fn endless_wake_ups_are_detected() {
        check(Fault::Spins).await;
    }

    #[tokio::test]
    #[should_panic(expected = "should wake before it has commands")]
    async fn late_wake_up_is_detected() {
        check(Fault::Late).await;
    }
}
