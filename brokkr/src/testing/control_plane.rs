//! A broker and agents in one process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brokkr_control::generate::Generator;
use brokkr_control::{
    Actor, AgentStackStatus, Broker, BrokerError, Content, ControllerState, Placed, StackOverview, StackState,
};
use brokkr_core::clock::ManualClock;
use brokkr_core::model::{GeneratorId, Health, StackId, StackSpec, limits};
use brokkr_core::store::Page;
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::eventually::eventually;
use super::running_agent::RunningAgent;

/// A broker in memory and agents, each on an in-memory cluster, in one process. Dropping it stops all of them.
///
/// Broker and agents are those of production, with two differences: agents call the broker without HTTP, and retry and check
/// at shorter intervals. The clusters run no controllers unless
/// [`with_controllers`](super::ControlPlaneBuilder::with_controllers) adds them: without, a Deployment stays `progressing`.
#[derive(Debug)]
pub struct ControlPlane {
    broker: Broker,
    agents: Vec<RunningAgent>,
    generators: BTreeMap<String, GeneratorId>,
    clock: Option<Arc<ManualClock>>,
    _stop: DropGuard,
}

impl ControlPlane {
    pub(super) fn new(
        broker: Broker,
        agents: Vec<RunningAgent>,
        generators: BTreeMap<String, GeneratorId>,
        clock: Option<Arc<ManualClock>>,
        stop: CancellationToken,
    ) -> Self {
        Self { broker, agents, generators, clock, _stop: stop.drop_guard() }
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

    /// The id of a generator of [`generator_principal`](super::ControlPlaneBuilder::generator_principal).
    ///
    /// # Panics
    ///
    /// Panics if the builder has not created a generator with this name.
    #[must_use]
    pub fn generator(&self, name: &str) -> GeneratorId {
        *self.generators.get(name).unwrap_or_else(|| panic!("the builder should create the generator {name}"))
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
    /// Panics at once if no agent matches, with the reason of each; after 20 s with the agents' reports.
    pub async fn converged(&self, stack: StackId) -> StackOverview {
        eventually("every agent has applied the stack's newest revision", async || {
            let status = self.status(stack).await;
            let summary = status.summary;
            if summary.agents > 0 && summary.applied == summary.agents { Ok(status) } else { Err(status) }
        })
        .await
    }

    /// Waits until every agent that serves the stack has applied its newest revision and reports it healthy. Workloads become
    /// healthy only [`with_controllers`](super::ControlPlaneBuilder::with_controllers). Returns the stack's status.
    ///
    /// # Panics
    ///
    /// Like [`converged`](Self::converged).
    pub async fn healthy(&self, stack: StackId) -> StackOverview {
        eventually("every agent reports the stack's newest revision healthy", async || {
            let status = self.status(stack).await;
            let is_healthy = |it: &AgentStackStatus| it.state().0 == StackState::Applied(Health::Healthy);
            if status.summary.agents > 0 && status.agents.iter().all(is_healthy) { Ok(status) } else { Err(status) }
        })
        .await
    }

    /// The stack's status. Panics if no agent matches the stack or still has it, because no wait would end.
    async fn status(&self, stack: StackId) -> StackOverview {
        let status = self.broker.stack_status(&self.actor(), stack).await.expect("the stack should have a status");
        if status.summary.agents == 0 {
            let page = Page::first(limits::PAGE_MAX);
            let placed = self.broker.stack_placement(&self.actor(), stack, None, &page).await;
            let placed = placed.expect("the stack should have a placement").items;
            if !placed.iter().any(|it| it.matched) {
                let line = |it: &Placed| format!("\n  {}: {}", it.agent_name, it.reasons.join("; "));
                let lines: String = placed.iter().map(line).collect();
                panic!("no agent serves the stack, so it cannot converge; reason of each agent:{lines}");
            }
        }
        status
    }

    /// Deletes a stack and waits until every agent has removed it.
    ///
    /// # Panics
    ///
    /// Panics if the broker refuses, or after 20 s.
    pub async fn delete(&self, stack: StackId) {
        self.broker.stack_delete(&self.actor(), stack, None).await.expect("the broker should accept the deletion");
        self.gone(stack).await;
    }

    /// Waits until a stack is gone: deleted, and removed by every agent.
    ///
    /// # Panics
    ///
    /// Panics after 20 s.
    pub async fn gone(&self, stack: StackId) {
        eventually("every agent has removed the stack", async || {
            match self.broker.stack_get(&self.actor(), stack).await {
                Err(BrokerError::NotFound) => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }

    /// Moves the broker's time forward, and waits until its controllers have done what is due then.
    ///
    /// # Panics
    ///
    /// Panics without [`paused_clock`](super::ControlPlaneBuilder::paused_clock), or like [`settled`](Self::settled).
    pub async fn advance(&self, by: Duration) {
        let clock = self.clock.as_ref().expect("the builder should set a paused clock");
        clock.advance(by);
        self.settled().await;
    }

    /// Waits until the controllers have seen every change so far and have done what is due.
    ///
    /// # Panics
    ///
    /// Panics after 20 s with the states of the controllers, for example if one of them keeps waking.
    pub async fn settled(&self) {
        let generation = self.broker.generation();
        eventually("the controllers have done what is due", async || {
            let now = self.broker.now();
            let states = self.broker.controller_states();
            let is_settled = |state: &ControllerState| {
                state.leads
                    && state.paused.is_none()
                    && !state.is_busy
                    && state.generation >= generation
                    && state.next_wake_at.is_none_or(|at| at > now)
            };
            if states.values().all(is_settled) { Ok(()) } else { Err(states) }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::agent;

    fn settings() -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}})
    }

    async fn published(plane: &ControlPlane, spec: StackSpec) -> StackId {
        let stack = plane.broker().stack_create(&plane.actor(), None, spec).await.expect("a stack").id;
        let content = Content::Documents { documents: vec![settings()], message: String::new() };
        plane.broker().publish(&plane.actor(), stack, content).await.expect("a revision");
        stack
    }

    #[tokio::test]
    #[should_panic(expected = "edge: no direct target; no shared label; no shared annotation")]
    async fn converged_fails_at_once_with_the_reasons_if_no_agent_matches() {
        let plane = ControlPlane::builder().agent(agent("edge").label("region", "us")).start().await;
        let stack = published(&plane, StackSpec::named("shop").label("region", "eu")).await;
        let waited = tokio::time::timeout(std::time::Duration::from_secs(5), plane.converged(stack)).await;
        waited.expect("the wait should end at once");
    }

    #[tokio::test]
    #[should_panic(expected = "the agent is not registered with the stack's generator")]
    async fn converged_names_a_missing_registration() {
        let plane = ControlPlane::builder().agent(agent("edge").label("region", "eu")).start().await;
        let team = plane.broker().ensure_generator(&plane.actor(), "team", "").await.expect("a generator");
        let actor = plane.broker().generator_actor(team.id).expect("an actor");
        let spec = StackSpec::named("shop").label("region", "eu");
        let stack = plane.broker().stack_create(&actor, None, spec).await.expect("a stack");
        plane.converged(stack.id).await;
    }

    #[tokio::test]
    async fn stopped_agent_applies_nothing_while_others_continue() {
        let plane = ControlPlane::start(2).await;
        plane.agents()[0].stop().await;
        let stack = plane.publish(StackSpec::named("shop"), [settings()]).await;
        let status = eventually("the running agent has applied the stack", async || {
            let status = plane.status(stack).await;
            if status.summary.applied == 1 { Ok(status) } else { Err(status) }
        })
        .await;
        assert_eq!((status.summary.agents, status.summary.pending), (2, 1));
        assert_eq!(plane.agents()[0].object("ConfigMap", "default", "settings"), None);
        plane.agents()[0].stop().await;
    }

    #[tokio::test]
    async fn controllers_make_workloads_healthy_and_degraded_objects_are_reported() {
        let plane = ControlPlane::builder().agents(1).with_controllers().start().await;
        let kinds =
            [("apps/v1", "Deployment", "web"), ("apps/v1", "StatefulSet", "database"), ("batch/v1", "Job", "migrate")];
        let objects =
            kinds.map(|(api, kind, name)| json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}}));
        let stack = plane.publish(StackSpec::named("shop"), objects).await;
        plane.healthy(stack).await;
        let edge = &plane.agents()[0];
        for (_, kind, name) in kinds {
            edge.set_degraded(kind, "default", name, "image not found").await;
            let reason = eventually("the stack is degraded", async || {
                let (state, reason) = plane.status(stack).await.agents[0].state();
                if state == StackState::Applied(Health::Degraded) { Ok(reason) } else { Err((state, reason)) }
            })
            .await;
            assert!(reason.as_deref().is_some_and(|it| it.contains("image not found")), "{kind}: {reason:?}");
            edge.clear_degraded(kind, "default", name).await;
            plane.healthy(stack).await;
        }
    }
}
