//! Deleting stacks: first the order, then, when every cluster has confirmed it, the tombstone.

use brokkr_core::model::{Agent, AgentStatus, Change, EntityKey, Stack, StackId, StackPhase, Version};
use brokkr_core::store::{Scope, StoreError, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::BrokerError;
use crate::error::BrokerResult;
use crate::operations::generators::expect_version;

/// How far a removal got.
#[derive(Debug, Clone)]
pub enum Removal {
    /// No cluster had anything of it.
    Gone,
    /// Clusters must confirm first; the stack stays readable until they did.
    Pending(Box<Stack>),
}

impl Broker {
    /// Orders the removal of a stack from every cluster. Ordering it again changes nothing.
    pub async fn stack_delete(&self, actor: &Actor, id: StackId, expected: Option<Version>) -> BrokerResult<Removal> {
        const NAME: &str = "stack.delete";
        let scope = self.authorise(actor, Action::StackManage, NAME, Some(EntityKey::Stack(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Stack(id)), || async {
            let mut stack = self.parts.store.get::<Stack>(&scope, id).await?;
            expect_version(expected, stack.version)?;
            if stack.phase == StackPhase::Deleting {
                return Ok(Decision::nothing(()));
            }
            stack.version = stack.version.next();
            stack.updated_at = self.now();
            stack.phase = StackPhase::Deleting;
            Ok(Decision::commit((), vec![Change::Stack(stack)]))
        })
        .await?;
        // From here on nobody can be told any more to hold it, so what is open now is all there is to wait for.
        match self.complete_removal(actor, id).await {
            Ok(true) | Err(BrokerError::NotFound) => Ok(Removal::Gone),
            Ok(false) => match self.parts.store.get::<Stack>(&scope, id).await {
                Ok(stack) => Ok(Removal::Pending(Box::new(stack))),
                // The last confirmation came at this moment.
                Err(StoreError::NotFound) => Ok(Removal::Gone),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// Turns a stack that is being deleted into a tombstone once nobody is waited for; tells whether it is gone.
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
                // An agent that is gone or retired confirms nothing, and nobody waits for it.
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
            Ok(Decision::commit(true, vec![Change::Stack(stack)]))
        })
        .await
    }

    /// The same, when it is not known whether the stack is being deleted at all.
    pub(crate) async fn complete_removal_if_deleting(&self, actor: &Actor, id: StackId) -> BrokerResult<()> {
        let deleting = |stack: std::sync::Arc<Stack>| stack.phase == StackPhase::Deleting && stack.deleted_at.is_none();
        if self.parts.view.stack(id).is_some_and(deleting) {
            self.complete_removal(actor, id).await?;
        }
        Ok(())
    }
}
