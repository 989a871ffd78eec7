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

/// How long agents may take; they need milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// A broker in memory, with agents that run as they do in production, each on a cluster in memory. Everything stops when it is
/// dropped.
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

    /// The actor of the methods here: the system.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.broker.system_actor()
    }

    /// The agents, in the order in which they were added.
    #[must_use]
    pub fn agents(&self) -> &[RunningAgent] {
        &self.agents
    }

    /// Creates a stack, publishes objects in it, and targets every agent directly. To see where a policy sends a stack, use the
    /// [`broker`](Self::broker) instead.
    ///
    /// # Panics
    ///
    /// When the broker refuses.
    pub async fn publish(&self, spec: StackSpec, objects: impl IntoIterator<Item = Value>) -> StackId {
        let name = spec.name.clone();
        let content = Content::Documents { documents: objects.into_iter().collect(), message: String::new() };
        let applied = self.broker.stack_apply(&self.actor(), None, &name, |_| Ok(spec.clone()), Some(content)).await;
        self.target(applied.expect("a stack that the broker accepts").stack.id).await
    }

    /// Creates a stack with what the generator `G` makes of `params`, and targets every agent directly.
    ///
    /// # Panics
    ///
    /// When the broker or the generator refuses.
    pub async fn generate<G: Generator>(&self, spec: StackSpec, params: G::Params) -> StackId
    where
        G::Params: Serialize,
    {
        let applied = self.broker.generate::<G>(&self.actor(), spec, params).await;
        self.target(applied.expect("a stack that generator and broker accept").stack.id).await
    }

    async fn target(&self, stack: StackId) -> StackId {
        for agent in &self.agents {
            self.broker.target_set(&self.actor(), stack, agent.id).await.expect("a target that the broker accepts");
        }
        stack
    }

    /// Waits until every agent that serves the stack has applied its newest revision, and returns the stack's status.
    ///
    /// # Panics
    ///
    /// When that takes longer than 20 s, with what the agents say, or when no agent serves the stack.
    pub async fn converged(&self, stack: StackId) -> StackOverview {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.broker.stack_status(&self.actor(), stack).await.expect("the status of a stack");
            let summary = status.summary;
            if summary.agents > 0 && summary.applied == summary.agents {
                return status;
            }
            assert!(Instant::now() < deadline, "the stack has not converged: {status:#?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Deletes a stack and waits until every agent has removed it.
    ///
    /// # Panics
    ///
    /// When the broker refuses, or when it takes longer than 20 s.
    pub async fn delete(&self, stack: StackId) {
        self.broker.stack_delete(&self.actor(), stack, None).await.expect("a deletion that the broker accepts");
        let deadline = Instant::now() + PATIENCE;
        while !matches!(self.broker.stack_get(&self.actor(), stack).await, Err(BrokerError::NotFound)) {
            assert!(Instant::now() < deadline, "some agent has not removed the stack");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
