//! Operations on direct targets.

use brokkr_core::model::{
    Agent, AgentId, AssignmentState, Change, EntityKey, GeneratorPrincipal, Name, Stack, StackId, StackPhase, Target,
    Timestamp, Version, limits, validate_text,
};
use brokkr_core::store::{Listing, Page, Precondition, Scope, StoreError, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::environment_names::refuse_isolated;

impl Broker {
    /// Targets a stack directly at an agent. Idempotent.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] if the actor cannot see the stack or the agent, [`BrokerError::StackDeleting`] for a stack
    /// that is being deleted, [`BrokerError::Invalid`] if the stack's generator is limited to environments that the agent is not
    /// in.
    pub async fn target_set(&self, actor: &Actor, stack: StackId, agent: AgentId) -> BrokerResult<Target> {
        const NAME: &str = "target.set";
        let scope = self.authorise(actor, Action::TargetManage, NAME, Some(EntityKey::Target(stack, agent)))?;
        self.decide(actor, NAME, Some(EntityKey::Target(stack, agent)), || async {
            let found = self.parts.store.get::<Stack>(&scope, stack).await?;
            if found.phase == StackPhase::Deleting {
                return Err(BrokerError::StackDeleting);
            }
            let serving = self.agent_within_limit(actor, &scope, agent).await?;
            let owner = self.parts.store.get::<GeneratorPrincipal>(&Scope::All, found.generator_id).await?;
            let before = self.parts.store.target_find(&scope, stack, agent).await?;
            if let Some(living) = before.as_ref().filter(|it| it.deleted_at.is_none()) {
                return Ok(Decision::nothing(living.clone()));
            }
            refuse_isolated(&owner, serving.environment.as_ref())?;
            let target = Target {
                stack_id: stack,
                agent_id: agent,
                generator_id: found.generator_id,
                created_by: actor.reference(),
                version: before.map_or(Version::FIRST, |it| it.version.next()),
                created_at: self.now(),
                deleted_at: None,
            };
            Ok(Decision::commit(target.clone(), vec![Change::Target(target)])
                .provided(Precondition::Version(EntityKey::Generator(owner.id), owner.version))
                .provided(Precondition::Version(EntityKey::Stack(stack), found.version))
                .provided(Precondition::Version(EntityKey::Agent(agent), serving.version)))
        })
        .await
    }

    /// Removes a direct target. The agent removes the stack unless it also matches in another way.
    ///
    /// # Errors
    ///
    /// [`BrokerError::EnvironmentProtected`] if the agent of a protected environment would remove the stack and the actor may
    /// not break the glass.
    pub async fn target_remove(&self, actor: &Actor, stack: StackId, agent: AgentId) -> BrokerResult<()> {
        const NAME: &str = "target.remove";
        let scope = self.authorise(actor, Action::TargetManage, NAME, Some(EntityKey::Target(stack, agent)))?;
        self.decide(actor, NAME, Some(EntityKey::Target(stack, agent)), || async {
            let found = self.parts.store.get::<Stack>(&scope, stack).await?;
            let before = self.parts.store.target_find(&scope, stack, agent).await?;
            let mut target = before.filter(|it| it.deleted_at.is_none()).ok_or(BrokerError::NotFound)?;
            let now = self.now();
            target.version = target.version.next();
            target.deleted_at = Some(now);
            let mut changes = vec![Change::Target(target)];
            let (matched, preconditions) = self.may_match(&found, agent, false).await?;
            if !matched {
                self.check_removal_from(actor, stack, agent)?;
                changes.extend(self.end_assignment(stack, agent, AssignmentState::Withdrawn, now).await?);
            }
            Ok(Decision { preconditions, ..Decision::commit((), changes) })
        })
        .await?;
        // A poll may have listed the stack between the read and the commit, because the target still existed.
        self.decide(actor, NAME, Some(EntityKey::Assignment(stack, agent)), || async {
            let found = match self.parts.store.get::<Stack>(&scope, stack).await {
                Ok(found) => found,
                Err(StoreError::NotFound) => return Ok(Decision::nothing(())),
                Err(error) => return Err(error.into()),
            };
            let (matched, preconditions) = self.may_match_now(&found, agent).await?;
            if matched {
                return Ok(Decision::nothing(()));
            }
            let change = self.end_assignment(stack, agent, AssignmentState::Withdrawn, self.now()).await?;
            Ok(Decision { preconditions, ..Decision::commit((), change.into_iter().collect()) })
        })
        .await
    }

    /// Whether an agent serves a stack, with or without a direct target, and the preconditions of that answer.
    async fn may_match(&self, stack: &Stack, agent: AgentId, direct: bool) -> BrokerResult<(bool, Vec<Precondition>)> {
        let mut conditions = vec![Precondition::Version(EntityKey::Stack(stack.id), stack.version)];
        let matched = match self.parts.store.get::<Agent>(&Scope::All, agent).await {
            Ok(serving) => {
                conditions.push(Precondition::Version(EntityKey::Agent(agent), serving.version));
                self.parts.view.may_match(stack, &serving, direct)
            }
            Err(StoreError::NotFound) => false,
            Err(error) => return Err(error.into()),
        };
        Ok((matched, conditions))
    }

    /// Like [`may_match`](Self::may_match), with the direct target as it is in the store.
    async fn may_match_now(&self, stack: &Stack, agent: AgentId) -> BrokerResult<(bool, Vec<Precondition>)> {
        let target = self.parts.store.target_find(&Scope::All, stack.id, agent).await?;
        let is_living = target.as_ref().is_some_and(|it| it.deleted_at.is_none());
        let (matched, mut conditions) = self.may_match(stack, agent, is_living).await?;
        let target = target.map(|it| Precondition::Version(EntityKey::Target(stack.id, agent), it.version));
        conditions.extend(target);
        Ok((matched, conditions))
    }

    /// The open assignment in its final `state`; `None` if there is no open one in another state.
    async fn end_assignment(
        &self,
        stack: StackId,
        agent: AgentId,
        state: AssignmentState,
        now: Timestamp,
    ) -> BrokerResult<Option<Change>> {
        let found = self.parts.store.assignment_find(&Scope::All, agent, &[stack]).await?;
        Ok(found.into_iter().find(|it| it.is_open() && it.state != state).map(|mut it| {
            it.version = it.version.next();
            it.state = state;
            it.updated_at = now;
            Change::Assignment(it)
        }))
    }

    /// Lists the direct targets of a stack, of one environment or of all agents.
    pub async fn target_list(
        &self,
        actor: &Actor,
        stack: StackId,
        environment: Option<&Name>,
        page: &Page<AgentId>,
    ) -> BrokerResult<Listing<Target, AgentId>> {
        let scope = self.authorise(actor, Action::StackRead, "target.read", None)?;
        self.parts.store.get::<Stack>(&scope, stack).await?;
        Ok(self.parts.store.target_list(&scope, stack, environment, page).await?)
    }

    /// Stops waiting for a lost agent's confirmation of a removal. If the agent returns, it still removes the stack.
    pub async fn target_abandon(
        &self,
        actor: &Actor,
        stack: StackId,
        agent: AgentId,
        reason: &str,
    ) -> BrokerResult<()> {
        const NAME: &str = "target.abandon";
        let scope = self.authorise(actor, Action::TargetAbandon, NAME, Some(EntityKey::Target(stack, agent)))?;
        self.decide(actor, NAME, Some(EntityKey::Assignment(stack, agent)), || async {
            validate_text(reason, limits::MESSAGE_CHARACTERS).map_err(|error| error.within("reason"))?;
            let found = self.parts.store.get::<Stack>(&scope, stack).await?;
            if !scope.sees_pair(stack, found.generator_id, agent) {
                return Err(BrokerError::NotFound);
            }
            let (matched, preconditions) = self.may_match_now(&found, agent).await?;
            let change = self.end_assignment(stack, agent, AssignmentState::Abandoned, self.now()).await?;
            match change.filter(|_| !matched) {
                Some(change) => Ok(Decision { preconditions, ..Decision::commit((), vec![change]) }.detail(reason)),
                None => Err(BrokerError::NotFound),
            }
        })
        .await?;
        self.complete_removal_if_deleting(actor, stack).await
    }
}
