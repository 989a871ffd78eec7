//! What a controller can read.

use brokkr_core::model::{AgentId, DeploymentObject, Stack, StackId};
use brokkr_core::store::{EntityQuery, Listing, Page};

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::agents::AgentDetails;
use crate::operations::status::StackOverview;

/// The reads of a controller's [`observe`](crate::controller::Controller::observe), with the rights of its principal. What the
/// principal may not see does not exist.
#[derive(Debug, Clone)]
pub struct Reads {
    pub(crate) broker: Broker,
    actor: Actor,
}

impl Reads {
    pub(crate) fn new(broker: Broker, actor: Actor) -> Self {
        Self { broker, actor }
    }

    /// A stack; `None` if it does not exist any more.
    ///
    /// # Errors
    ///
    /// Those of [`Broker::stack_get`](crate::Broker::stack_get) besides `NotFound`.
    pub async fn stack(&self, id: StackId) -> BrokerResult<Option<Stack>> {
        found(self.broker.stack_get(&self.actor, id).await)
    }

    /// A page of stacks.
    ///
    /// # Errors
    ///
    /// Those of [`Broker::stack_list`](crate::Broker::stack_list).
    pub async fn stacks(&self, filter: &EntityQuery, page: &Page<StackId>) -> BrokerResult<Listing<Stack, StackId>> {
        self.broker.stack_list(&self.actor, filter, page).await
    }

    /// The status of a stack on all its agents; `None` if the stack does not exist any more.
    ///
    /// # Errors
    ///
    /// Those of [`Broker::stack_status`](crate::Broker::stack_status) besides `NotFound`.
    pub async fn stack_status(&self, id: StackId) -> BrokerResult<Option<StackOverview>> {
        found(self.broker.stack_status(&self.actor, id).await)
    }

    /// The newest deployment object of a stack; `None` without a publication.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn newest_object(&self, stack: StackId) -> BrokerResult<Option<DeploymentObject>> {
        let scope = self.broker.scope(&self.actor);
        Ok(self.broker.parts.store.deployment_object_latest(&scope, stack).await?)
    }

    /// An agent; `None` if it does not exist any more.
    ///
    /// # Errors
    ///
    /// Those of [`Broker::agent_details`](crate::Broker::agent_details) besides `NotFound`.
    pub async fn agent(&self, id: AgentId) -> BrokerResult<Option<AgentDetails>> {
        found(self.broker.agent_details(&self.actor, id).await)
    }

    /// A page of agents.
    ///
    /// # Errors
    ///
    /// Those of [`Broker::agent_list`](crate::Broker::agent_list).
    pub async fn agents(
        &self,
        filter: &EntityQuery,
        page: &Page<AgentId>,
    ) -> BrokerResult<Listing<AgentDetails, AgentId>> {
        self.broker.agent_list(&self.actor, filter, page).await
    }
}

fn found<T>(result: BrokerResult<T>) -> BrokerResult<Option<T>> {
    match result {
        Err(BrokerError::NotFound) => Ok(None),
        result => result.map(Some),
    }
}
