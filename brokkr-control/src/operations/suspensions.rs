//! Operations that suspend stacks and agents, and resume them.

use brokkr_core::model::{Agent, AgentId, EntityKey, Stack, StackId, Suspension};
use brokkr_core::store::Scope;

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::BrokerResult;
use crate::operations::releases::check_reason;

impl Broker {
    fn suspension(&self, actor: &Actor, reason: &str) -> Suspension {
        Suspension { reason: reason.to_owned(), by: actor.reference(), at: self.now() }
    }

    /// Freezes a stack, on all agents or in one environment: agents keep what they hold, and no further agent gets the stack.
    /// Explicit removals are still carried out. Idempotent.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`](crate::BrokerError::Invalid) if the environment does not exist.
    pub async fn stack_suspend(
        &self,
        actor: &Actor,
        id: StackId,
        environment: Option<&str>,
        reason: &str,
    ) -> BrokerResult<()> {
        const NAME: &str = "stack.suspend";
        let scope = self.authorise(actor, Action::StackManage, NAME, Some(EntityKey::Stack(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Stack(id)), || async {
            check_reason(reason)?;
            let suspension = Some(self.suspension(actor, reason));
            self.suspended(actor, &scope, id, environment, suspension).await
        })
        .await
    }

    /// Ends the suspension of a stack, on all agents or in one environment. Agents then hold what they should. Idempotent.
    pub async fn stack_resume(&self, actor: &Actor, id: StackId, environment: Option<&str>) -> BrokerResult<()> {
        const NAME: &str = "stack.resume";
        let scope = self.authorise(actor, Action::StackManage, NAME, Some(EntityKey::Stack(id)))?;
        let decide = || self.suspended(actor, &scope, id, environment, None);
        self.decide(actor, NAME, Some(EntityKey::Stack(id)), decide).await
    }

    async fn suspended(
        &self,
        actor: &Actor,
        scope: &Scope,
        id: StackId,
        environment: Option<&str>,
        suspension: Option<Suspension>,
    ) -> BrokerResult<Decision<()>> {
        let before = self.active_stack(scope, id).await?;
        let detail = suspension.as_ref().map(|it| it.reason.clone());
        let decision = if environment.is_some() {
            let mut place = self.place_named(actor, &before, "environment", environment).await?;
            if place.after.suspended.is_some() == suspension.is_some() {
                return Ok(Decision::nothing(()));
            }
            place.after.suspended = suspension;
            place.decision(|_| ())
        } else {
            if before.suspended.is_some() == suspension.is_some() {
                return Ok(Decision::nothing(()));
            }
            let limit = self.within_limit(actor, before.generator_id).await?;
            let (version, updated_at) = (before.version.next(), self.now());
            let after = Stack { suspended: suspension, version, updated_at, ..before.clone() };
            limit.into_iter().fold(Decision::update((), &before, after), Decision::provided)
        };
        Ok(detail.into_iter().fold(decision, Decision::detail))
    }

    /// Freezes all stacks of an agent: it keeps what it holds and gets no further stack. Explicit removals are still carried
    /// out. Idempotent.
    pub async fn agent_suspend(&self, actor: &Actor, id: AgentId, reason: &str) -> BrokerResult<()> {
        const NAME: &str = "agent.suspend";
        let scope = self.authorise(actor, Action::AgentManage, NAME, Some(EntityKey::Agent(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Agent(id)), || async {
            check_reason(reason)?;
            let suspension = Some(self.suspension(actor, reason));
            self.agent_suspended(actor, &scope, id, suspension).await
        })
        .await
    }

    /// Ends the suspension of an agent. Idempotent.
    pub async fn agent_resume(&self, actor: &Actor, id: AgentId) -> BrokerResult<()> {
        const NAME: &str = "agent.resume";
        let scope = self.authorise(actor, Action::AgentManage, NAME, Some(EntityKey::Agent(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Agent(id)), || self.agent_suspended(actor, &scope, id, None)).await
    }

    async fn agent_suspended(
        &self,
        actor: &Actor,
        scope: &Scope,
        id: AgentId,
        suspension: Option<Suspension>,
    ) -> BrokerResult<Decision<()>> {
        let before = self.agent_within_limit(actor, scope, id).await?;
        if before.suspended.is_some() == suspension.is_some() {
            return Ok(Decision::nothing(()));
        }
        let detail = suspension.as_ref().map(|it| it.reason.clone());
        let (version, updated_at) = (before.version.next(), self.now());
        let after = Agent { suspended: suspension, version, updated_at, ..before.clone() };
        Ok(detail.into_iter().fold(Decision::update((), &before, after), Decision::detail))
    }
}
