//! Removes pins whose time is over.

use std::sync::Arc;

use async_trait::async_trait;
use brokkr_core::model::{Change, Pin, Timestamp, limits};

use crate::controller::{Command, Controller, Interest, Own, Plan, Reads};
use crate::error::BrokerResult;

/// Removes expired pins: their agents follow what is stable or newest again.
#[derive(Debug)]
pub(crate) struct PinExpiry;

#[async_trait]
impl Controller for PinExpiry {
    type Key = ();
    /// The pins that end first, in this order.
    type Facts = Vec<Arc<Pin>>;

    fn name(&self) -> &str {
        "pin-expiry"
    }

    fn interest(&self) -> Interest<()> {
        let ending = |change: &Change| matches!(change, Change::Pin(pin) if pin.expires_at.is_some()).then_some(());
        Interest::new().always(()).changes(ending)
    }

    async fn observe(&self, reads: &Reads, (): &()) -> BrokerResult<Option<Vec<Arc<Pin>>>> {
        // Each removal is a change, which looks for the next ones.
        Ok(Some(reads.broker.parts.view.ending_pins(limits::CONTROLLER_CHANGES)))
    }

    fn decide(&self, pins: &Vec<Arc<Pin>>, now: Timestamp) -> Plan {
        let (mut plan, mut next) = (Plan::nothing(), None);
        for (pin, end) in pins.iter().filter_map(|pin| Some((pin, pin.expires_at?))) {
            if end <= now {
                plan = plan.command(Command::own(Own::ExpirePin(pin.id, pin.version)));
            } else {
                next = next.or(Some(end));
            }
        }
        next.into_iter().fold(plan, Plan::wake_at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use brokkr_core::store::conformance::sample;

    use super::*;

    #[test]
    fn expired_pins_are_removed_and_the_next_end_wakes() {
        let now = sample::time(100);
        let at = |seconds: u64| now.plus(Duration::from_secs(seconds));
        let stack = sample::stack("s");
        let pin = |expires_at| Arc::new(Pin { expires_at, ..sample::pin(&stack, &sample::agent("a")) });
        let (over, last, next, later) =
            (pin(Some(sample::time(1))), pin(Some(now)), pin(Some(at(1))), pin(Some(at(2))));
        let expire = |pin: &Pin| Command::own(Own::ExpirePin(pin.id, pin.version));
        let both = vec![expire(&over), expire(&last)];
        for (pins, commands, wake) in [
            (vec![], vec![], None),
            (vec![pin(None)], vec![], None),
            (vec![next.clone(), later.clone()], vec![], Some(at(1))),
            (vec![over.clone(), last.clone()], both.clone(), None),
            (vec![over, last, next, later], both, Some(at(1))),
        ] {
            let plan = PinExpiry.decide(&pins, now);
            assert_eq!((plan.commands(), plan.next_wake()), (&commands[..], wake), "{pins:?}");
        }
    }
}
