//! The agent protocol without a network, for hosts that run broker and agents in one process, and for tests.

use async_trait::async_trait;
use brokkr_core::model::{AgentId, DeploymentObjectId};
use brokkr_core::protocol::{ControlPlane, ControlPlaneError, Identity, PollAnswer, PollRequest, Report, ReportAnswer};
use bytes::Bytes;

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::BrokerError;
use crate::origin::Origin;

/// A [`ControlPlane`](brokkr_core::protocol::ControlPlane) for an agent in the broker's process.
///
/// ```
/// use brokkr_control::{Broker, BrokerError, InProcess, NewAgent};
///
/// async fn connect(broker: &Broker) -> Result<Option<InProcess>, BrokerError> {
///     let (_, key) = broker.agent_create(&broker.system_actor(), NewAgent::named("edge-1")).await?;
///     Ok(key.pak.map(|pak| InProcess::new(broker.clone(), pak)))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct InProcess {
    broker: Broker,
    pak: secrecy::SecretString,
}

impl InProcess {
    /// Connects with an agent's key. The broker checks the key on every call, as it does over the network.
    pub fn new(broker: Broker, pak: impl Into<secrecy::SecretString>) -> Self {
        Self { broker, pak: pak.into() }
    }

    fn actor(&self) -> Result<Actor, ControlPlaneError> {
        use secrecy::ExposeSecret as _;
        self.broker.authenticate(self.pak.expose_secret(), Origin::in_process()).map_err(refusal)
    }
}

fn refusal(error: BrokerError) -> ControlPlaneError {
    let problem = error.slug().to_owned();
    match error {
        BrokerError::NotFound => ControlPlaneError::NotFound,
        BrokerError::Unauthenticated | BrokerError::Forbidden | BrokerError::AgentRetired => {
            ControlPlaneError::Refused(problem)
        }
        BrokerError::InstanceSuperseded | BrokerError::WrongCluster => ControlPlaneError::Superseded(problem),
        error if error.is_retryable() => ControlPlaneError::NotReady { problem, retry_after: error.retry_after() },
        _ => ControlPlaneError::Rejected(problem),
    }
}

#[async_trait]
impl ControlPlane for InProcess {
    async fn identify(&self) -> Result<Identity, ControlPlaneError> {
        let actor = self.actor()?;
        let agent_id = actor.agent_id().ok_or_else(|| ControlPlaneError::Refused("not-an-agent".to_owned()))?;
        let agent = self.broker.agent_get(&actor, agent_id).await.map_err(refusal)?;
        Ok(Identity { agent_id, name: agent.name.to_string() })
    }

    async fn target_state(&self, agent: AgentId, request: PollRequest) -> Result<PollAnswer, ControlPlaneError> {
        self.broker.target_state(&self.actor()?, agent, request).await.map_err(refusal)
    }

    async fn deployment_object(&self, id: DeploymentObjectId) -> Result<Bytes, ControlPlaneError> {
        let content = self.broker.deployment_object_content(&self.actor()?, id).await.map_err(refusal)?;
        Ok(content.bytes)
    }

    async fn report(&self, agent: AgentId, report: &Report) -> Result<ReportAnswer, ControlPlaneError> {
        self.broker.report(&self.actor()?, agent, report).await.map_err(refusal)
    }
}
