//! What an agent should hold of a stack, decided on data of the fleet view.

use std::sync::Arc;

use brokkr_core::desired::{AgentFacts, Desired, EnvironmentFacts, Facts, Match, PairFacts, StackFacts, decide};
use brokkr_core::model::{Agent, AgentStatus, DeploymentObjectId, FrozenRevision, ReleaseMode};

use crate::view::decide::refusal;
use crate::view::environments::Environments;
use crate::view::pair::Pair;
use crate::view::stack_entry::StackEntry;
use crate::view::tenants::Tenants;

/// What the agent should hold of the stack.
pub(crate) fn desire<'a>(
    entry: &'a StackEntry,
    agent: &Agent,
    pair: Pair,
    tenants: &Tenants,
    environments: &Environments,
) -> Desired<&'a FrozenRevision> {
    let environment = environments.of(agent);
    let release = entry.releases.get(&environment.map(|it| it.id));
    let owner = tenants.generator(entry.stack.generator_id).map(Arc::as_ref);
    let matched = match refusal(owner, &entry.stack, agent) {
        Some(_) => Match::NotPermitted,
        None if pair.matched => Match::Selected,
        None => Match::NotSelected,
    };
    decide(Facts {
        stack: StackFacts {
            is_active: entry.stack.is_active(),
            is_gated: entry.stack.release == ReleaseMode::Gated,
            is_suspended: entry.stack.suspended.is_some(),
            newest: entry.newest.as_ref(),
        },
        agent: AgentFacts {
            is_cordoned: agent.status == AgentStatus::Cordoned,
            is_suspended: agent.suspended.is_some(),
        },
        environment: EnvironmentFacts {
            is_protected: environment.is_some_and(|it| it.protected),
            is_suspended: release.is_some_and(|it| it.suspended.is_some()),
            stable: release.and_then(|it| it.stable.as_ref()),
        },
        pair: PairFacts { matched, assignment: pair.assignment, pin: entry.pins.get(&agent.id).map(|it| &it.revision) },
    })
}

/// What of a decision the target state contains: equal orders make equal entries, given the same stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Apply(DeploymentObjectId),
    Hold,
    Remove { confirmed: bool },
    Nothing,
}

impl From<Desired<&FrozenRevision>> for Order {
    fn from(desired: Desired<&FrozenRevision>) -> Self {
        match desired {
            Desired::Revision { revision, .. } => Self::Apply(revision.object_id),
            Desired::Hold { .. } => Self::Hold,
            Desired::Remove { confirmed, .. } => Self::Remove { confirmed },
            Desired::Absent { .. } => Self::Nothing,
        }
    }
}
