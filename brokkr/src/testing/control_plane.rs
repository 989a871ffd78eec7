//! A broker and agents in one process.

use std::time::Duration;

use brokkr_control::generate::Generator;
use brokkr_control::{Actor, Broker, BrokerError, Content, StackOverview};
use brokkr_core::model::{StackId, StackSpec};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::running_agent::RunningAgent;

/// Timeout of waits; agents normally need milliseconds.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Poll interval of waits.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A broker in memory, with agents that run as in production, each on an in-memory cluster. Dropping it stops all of them.
#[derive(Debug)]
pub struct ControlPlane {
    broker: Broker,
    agents: Vec<RunningAgent>,
    _stop: DropGuard,
}

impl ControlPlane {
    pub(super) fn new(broker: Broker, agents: Vec<RunningAgent>, stop: CancellationToken) -> Self {
        Self { broker, agents, _stop: stop.drop_guard() }
    }

    /// The broker.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The actor that the methods of this type use: the system.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.broker.system_actor()
    }

    /// The agents, in the order in which they were added.
    #[must_use]
    pub fn agents(&self) -> &[RunningAgent] {
        &self.agents
    }

    /// Creates a stack, publishes objects in it, and targets every agent directly. To test a targeting policy, use the
    /// [`broker`](Self::broker) instead.
    ///
    /// # Panics
    ///
    /// Panics if the broker refuses.
    pub async fn publish(&self, spec: StackSpec, objects: impl IntoIterator<Item = Value>) -> StackId {
        let name = spec.name.clone();
        let content = Content::Documents { documents: objects.into_iter().collect(), message: String::new() };
        let applied = self.broker.stack_apply(&self.actor(), None, &name, |_| Ok(spec.clone()), Some(content)).await;
        self.target(applied.expect("the broker should accept the stack").stack.id).await
    }

    /// Creates a stack with the manifests that the generator `G` returns for `params`, and targets every agent directly.
    ///
    /// # Panics
    ///
    /// Panics if the broker or the generator refuses.
    pub async fn generate<G: Generator>(&self, spec: StackSpec, params: G::Params) -> StackId
    where
        G::Params: Serialize,
    {
        let applied = self.broker.generate::<G>(&self.actor(), spec, params).await;
        self.target(applied.expect("the generator and the broker should accept the stack").stack.id).await
    }

    async fn target(&self, stack: StackId) -> StackId {
        for agent in &self.agents {
            self.broker.target_set(&self.actor(), stack, agent.id).await.expect("the broker should accept the target");
        }
        stack
    }

    /// Waits until every agent that serves the stack has applied its newest revision. Returns the stack's status.
    ///
    /// # Panics
    ///
    /// Panics after 20 s with the agents' reports, also if no agent serves the stack.
    pub async fn converged(&self, stack: StackId) -> StackOverview {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let status = self.broker.stack_status(&self.actor(), stack).await.expect("the stack should have a status");
            let summary = status.summary;
            if summary.agents > 0 && summary.applied == summary.agents {
                return status;
            }
            assert!(Instant::now() < deadline, "the stack has not converged within 20 s: {status:#?}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Deletes a stack and waits until every agent has removed it.
    ///
    /// # Panics
    ///
    /// Panics if the broker refuses, or after 20 s.
    pub async fn delete(&self, stack: StackId) {
        self.broker.stack_delete(&self.actor(), stack, None).await.expect("the broker should accept the deletion");
        let deadline = Instant::now() + TIMEOUT;
        while !matches!(self.broker.stack_get(&self.actor(), stack).await, Err(BrokerError::NotFound)) {
            assert!(Instant::now() < deadline, "an agent has not removed the stack within 20 s");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
