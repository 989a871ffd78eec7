//! Deletes stacks in two steps: the order to remove, and the tombstone after every agent has confirmed.

use brokkr_core::model::{Agent, AgentStatus, Change, EntityKey, Stack, StackId, StackPhase, Version};
use brokkr_core::store::{Scope, StoreError, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::generators::expect_version;

/// The result of [`Broker::stack_delete`].
#[derive(Debug, Clone)]
pub enum Removal {
    /// The stack is deleted: no agent had to confirm its removal.
    Gone,
    /// The deletion has started. The stack stays readable until every agent has confirmed its removal.
    Pending(Box<Stack>),
}

impl Broker {
    /// Starts the deletion of a stack: every agent removes its objects. Idempotent.
    ///
    /// # Errors
    ///
    /// [`BrokerError::DeletionProtected`] if the stack says so, [`BrokerError::EnvironmentProtected`] if an agent of a
    /// protected environment may hold the stack and the actor may not break the glass,
    /// [`BrokerError::PreconditionFailed`] if the stack does not have the version `expected`; `None` accepts any version.
    pub async fn stack_delete(&self, actor: &Actor, id: StackId, expected: Option<Version>) -> BrokerResult<Removal> {
        const NAME: &str = "stack.delete";
        let scope = self.authorise(actor, Action::StackManage, NAME, Some(EntityKey::Stack(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Stack(id)), || async {
            let before = self.parts.store.get::<Stack>(&scope, id).await?;
            expect_version(expected, before.version)?;
            if before.phase == StackPhase::Deleting {
                return Ok(Decision::nothing(()));
            }
            if before.deletion_protection {
                return Err(BrokerError::DeletionProtected);
            }
            let limit = self.within_limit(actor, before.generator_id).await?;
            let broken_glass = self.check_removal(actor, id)?;
            let (version, updated_at) = (before.version.next(), self.now());
            let after = Stack { version, updated_at, phase: StackPhase::Deleting, ..before.clone() };
            let mut decision = Decision::update((), &before, after);
            decision.preconditions.extend(limit);
            Ok(broken_glass.into_iter().fold(decision, Decision::detail))
        })
        .await?;
        // A deleting stack gets no new assignments, so the open ones are all that need a confirmation.
        match self.complete_removal(actor, id).await {
            Ok(true) | Err(BrokerError::NotFound) => Ok(Removal::Gone),
            Ok(false) => match self.parts.store.get::<Stack>(&scope, id).await {
                Ok(stack) => Ok(Removal::Pending(Box::new(stack))),
                // The last confirmation arrived concurrently.
                Err(StoreError::NotFound) => Ok(Removal::Gone),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// Turns a deleting stack into a tombstone if no confirmation is outstanding. Returns whether the stack is gone.
    pub(crate) async fn complete_removal(&self, actor: &Actor, id: StackId) -> BrokerResult<bool> {
        self.decide(actor, "stack.removed", Some(EntityKey::Stack(id)), || async {
            let mut stack = match self.parts.store.get::<Stack>(&Scope::All, id).await {
                Ok(stack) if stack.phase == StackPhase::Deleting => stack,
                Ok(_) => return Ok(Decision::nothing(false)),
                Err(StoreError::NotFound) => return Ok(Decision::nothing(true)),
                Err(error) => return Err(error.into()),
            };
            let assignments = self.parts.store.assignment_of_stack(&Scope::All, id).await?;
            for open in assignments.iter().filter(|it| it.is_open()) {
                // Deleted and retired agents do not confirm removals.
                match self.parts.store.get::<Agent>(&Scope::All, open.agent_id).await {
                    Ok(agent) if agent.status == AgentStatus::Retired => {}
                    Err(StoreError::NotFound) => {}
                    Ok(_) => return Ok(Decision::nothing(false)),
                    Err(error) => return Err(error.into()),
                }
            }
            let now = self.now();
            stack.version = stack.version.next();
            stack.updated_at = now;
            stack.deleted_at = Some(now);
            let mut changes = vec![Change::Stack(stack)];
            changes.extend(self.releases_and_pins_gone(id).await?);
            Ok(Decision::commit(true, changes))
        })
        .await
    }

    /// Like [`complete_removal`](Self::complete_removal), but does nothing if the stack is not being deleted.
    pub(crate) async fn complete_removal_if_deleting(&self, actor: &Actor, id: StackId) -> BrokerResult<()> {
        let deleting = |stack: std::sync::Arc<Stack>| stack.phase == StackPhase::Deleting && stack.deleted_at.is_none();
        if self.parts.view.stack(id).is_some_and(deleting) {
            self.complete_removal(actor, id).await?;
        }
        Ok(())
    }
}
