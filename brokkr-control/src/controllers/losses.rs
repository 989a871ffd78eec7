//! Decides about stacks that stop matching an agent.

use async_trait::async_trait;
use brokkr_core::model::{Agent, AgentId, Change, Stack, StackId, Timestamp, limits};

use crate::controller::{Command, Controller, Interest, Own, Plan, Reads};
use crate::error::BrokerResult;
use crate::operations::losses::LostPair;
use crate::view::PairOf;

/// Ends the assignments of pairs that no longer match: by labels, selectors or policy code.
///
/// Until it does, the agent keeps what it holds: a loss is no order. Removed targets, ended registrations, limits of generators
/// and deletions are orders, and need no decision. While a stack or an agent is suspended, nothing is decided.
#[derive(Debug)]
pub(crate) struct Losses;

/// The pairs of one stack, or of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Of {
    Stack(StackId),
    Agent(AgentId),
}

/// A pair that the agent holds because its loss is undecided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Undecided {
    pub(crate) pair: LostPair,
    /// Whether the pair matches now; `None` if the policy fails.
    pub(crate) matches: Option<bool>,
}

#[async_trait]
impl Controller for Losses {
    type Key = Of;
    type Facts = Vec<Undecided>;

    fn name(&self) -> &str {
        "losses"
    }

    fn interest(&self) -> Interest<Of> {
        let agents = |agent: &Agent| agent.deleted_at.is_none().then_some(Of::Agent(agent.id));
        // The end of a suspension in an environment.
        let releases = |change: &Change| match change {
            Change::StackRelease(release) => Some(Of::Stack(release.stack_id)),
            _ => None,
        };
        let stacks = |stack: &Stack| stack.is_active().then_some(Of::Stack(stack.id));
        Interest::new().stacks(stacks).agents(agents).changes(releases)
    }

    async fn observe(&self, reads: &Reads, of: &Of) -> BrokerResult<Option<Vec<Undecided>>> {
        let view = &reads.broker.parts.view;
        let pairs = match *of {
            Of::Stack(stack) => view.undecided_of_stack(stack),
            Of::Agent(agent) => view.undecided_of_agent(agent),
        };
        let undecided = |of: PairOf| Undecided {
            pair: LostPair { stack: of.stack.id, agent: of.agent.id },
            matches: view.matches(&of),
        };
        Ok(Some(pairs.into_iter().map(undecided).collect()))
    }

    fn decide(&self, undecided: &Vec<Undecided>, now: Timestamp) -> Plan {
        let lost: Vec<LostPair> = undecided.iter().filter(|it| it.matches == Some(false)).map(|it| it.pair).collect();
        let commands =
            lost.chunks(limits::CONTROLLER_CHANGES).map(|pairs| Command::own(Own::EndAssignments(pairs.to_vec())));
        let plan = commands.fold(Plan::nothing(), Plan::command);
        // A change of the policy's own data wakes nobody, so what it could not evaluate is tried again.
        if undecided.iter().any(|it| it.matches.is_none()) { plan.wake_at(now.plus(RETRY)) } else { plan }
    }
}

/// Pause after which a pair is evaluated again that the policy failed to evaluate.
const RETRY: std::time::Duration = std::time::Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};

    use super::*;

    #[test]
    fn only_a_certain_loss_ends_an_assignment() {
        let now = SystemClock.now();
        for (matches, is_lost) in [(Some(false), true), (Some(true), false), (None, false)] {
            let pair = LostPair { stack: StackId::generate(), agent: AgentId::generate() };
            let plan = Losses.decide(&vec![Undecided { pair, matches }], now);
            let expected = if is_lost { vec![Command::own(Own::EndAssignments(vec![pair]))] } else { vec![] };
            assert_eq!(plan.commands(), expected, "{matches:?}");
            assert_eq!(plan.next_wake().is_some(), matches.is_none(), "{matches:?}");
        }
    }

    #[test]
    fn many_losses_are_split() {
        let undecided = |_| Undecided {
            pair: LostPair { stack: StackId::generate(), agent: AgentId::generate() },
            matches: Some(false),
        };
        let plan = Losses.decide(&(0..2 * limits::CONTROLLER_CHANGES + 1).map(undecided).collect(), SystemClock.now());
        assert_eq!(plan.commands().len(), 3);
    }
}
