//! Completes the removals of stacks that no agent has to confirm any more.

use std::time::Duration;

use async_trait::async_trait;
use brokkr_core::model::{AssignmentState, Change, StackId, StackPhase, Timestamp};

use crate::controller::{Command, Controller, Interest, Own, Plan, Reads};
use crate::error::BrokerResult;

/// Interval of full looks, which find the stacks of retired and deleted agents.
const EVERY: Duration = Duration::from_secs(2);

/// Turns deleting stacks without outstanding confirmations into tombstones.
///
/// Reports complete removals directly. The controller repairs what crashes and races between two last reports left over.
#[derive(Debug)]
pub(crate) struct Removals;

/// A stack that is being deleted.
#[derive(Debug)]
pub(crate) struct Deleting {
    id: StackId,
    /// Whether an agent still has to confirm.
    is_waited_for: bool,
}

#[async_trait]
impl Controller for Removals {
    type Key = StackId;
    type Facts = Deleting;

    fn name(&self) -> &str {
        "removals"
    }

    fn interest(&self) -> Interest<StackId> {
        Interest::new()
            .every(EVERY)
            .stacks(|it| (it.phase == StackPhase::Deleting && it.deleted_at.is_none()).then_some(it.id))
            .changes(|change| match change {
                Change::Assignment(it) if it.state == AssignmentState::Abandoned => Some(it.stack_id),
                _ => None,
            })
    }

    async fn observe(&self, reads: &Reads, id: &StackId) -> BrokerResult<Option<Deleting>> {
        let view = &reads.broker.parts.view;
        Ok(view.is_waited_for(*id).map(|is_waited_for| Deleting { id: *id, is_waited_for }))
    }

    fn decide(&self, stack: &Deleting, _: Timestamp) -> Plan {
        if stack.is_waited_for {
            return Plan::nothing();
        }
        Plan::nothing().command(Command::own(Own::CompleteRemoval(stack.id)))
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};

    use super::*;

    #[test]
    fn removal_is_completed_when_nobody_has_to_confirm() {
        let id = StackId::generate();
        for (is_waited_for, commands) in [(true, vec![]), (false, vec![Command::own(Own::CompleteRemoval(id))])] {
            let plan = Removals.decide(&Deleting { id, is_waited_for }, SystemClock.now());
            assert_eq!((plan.commands(), plan.next_wake()), (&commands[..], None));
        }
    }
}
