//! Keeps agents on their present revision when their pairs become gated.

use brokkr_core::model::{
    AgentId, Change, DeploymentObject, Environment, FrozenRevision, ReleaseMode, Stack, StackId, StackRelease, limits,
};
use brokkr_core::store::{Scope, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::changes::Update;
use crate::error::{BrokerError, BrokerResult};
use crate::view::CATCH_UP;

/// A release that records what agents hold at present.
pub(super) struct Present {
    before: Option<StackRelease>,
    after: StackRelease,
}

impl Present {
    /// Adds the release to a decision.
    pub(super) fn add_to(self, changes: &mut Vec<Change>, updates: &mut Vec<Update>) {
        updates.extend(self.before.map(|before| Update::of(&before, &self.after)));
        changes.push(self.after.into());
    }
}

impl Broker {
    /// The release of the present revision; `None` if another one is stable already.
    async fn present(
        &self,
        stack: &Stack,
        environment: Option<Environment>,
        present: FrozenRevision,
        reason: &str,
    ) -> BrokerResult<Option<Present>> {
        let mut place = self.place(stack, environment).await?;
        if place.after.stable.is_some() {
            return Ok(None);
        }
        place.after.release(present);
        reason.clone_into(&mut place.after.reason);
        Ok(Some(Present { before: place.before, after: place.after }))
    }

    /// Before a stack becomes gated: its newest revision is stable in every environment whose agents may hold it.
    pub(super) async fn present_if_gated(
        &self,
        before: &Stack,
        after: &Stack,
        latest: Option<&DeploymentObject>,
    ) -> BrokerResult<Vec<Present>> {
        let becomes_gated = before.release == ReleaseMode::Immediate && after.release == ReleaseMode::Gated;
        let Some(latest) = latest.filter(|_| becomes_gated) else {
            return Ok(Vec::new());
        };
        self.parts.view.refreshed(CATCH_UP).await?;
        let mut presents = Vec::new();
        for environment in self.parts.view.environments_holding(before.id) {
            let environment = match environment {
                Some(seen) => Some(self.parts.store.get::<Environment>(&Scope::All, seen.id).await?),
                None => None,
            };
            presents.extend(self.present(before, environment, latest.into(), "the stack became gated").await?);
        }
        Ok(presents)
    }

    /// Before an environment becomes protected: the newest revision of each stack that its agents follow is stable there.
    pub(super) async fn present_if_protected(&self, environment: &Environment) -> BrokerResult<Vec<Present>> {
        self.parts.view.refreshed(CATCH_UP).await?;
        let followed = self.parts.view.newest_in(&environment.name);
        if followed.len() > limits::PROTECTED_STACKS {
            return Err(BrokerError::LimitReached(
                "more than 1000 stacks reach the environment; protect it before its agents have so many",
            ));
        }
        let mut presents = Vec::new();
        for (stack, newest) in followed.into_values() {
            let environment = Some(environment.clone());
            presents.extend(self.present(&stack, environment, newest, "the environment became protected").await?);
        }
        Ok(presents)
    }

    /// Refuses an explicit removal from agents in protected environments, except to break the glass. Returns the names of
    /// these environments, for the audit.
    pub(super) fn check_removal(&self, actor: &Actor, stack: StackId) -> BrokerResult<Option<String>> {
        let environments = self.parts.view.environments_holding(stack).into_iter().flatten();
        let names: Vec<String> = environments.filter(|it| it.protected).map(|it| it.name.to_string()).collect();
        if names.is_empty() {
            return Ok(None);
        }
        if actor.may(Action::BreakGlass) {
            return Ok(Some(format!("break-glass: removes from {}", names.join(", "))));
        }
        Err(BrokerError::EnvironmentProtected("the removal needs a key with break-glass"))
    }

    /// Like [`check_removal`](Self::check_removal), from one agent.
    pub(super) fn check_removal_from(&self, actor: &Actor, stack: StackId, agent: AgentId) -> BrokerResult<()> {
        let is_held = self.parts.view.pair(stack, agent).is_some_and(|it| it.pair.is_open());
        let is_protected = self.parts.view.environment_of(agent).is_some_and(|it| it.protected);
        if is_held && is_protected && !actor.may(Action::BreakGlass) {
            return Err(BrokerError::EnvironmentProtected("the removal needs a key with break-glass"));
        }
        Ok(())
    }
}
