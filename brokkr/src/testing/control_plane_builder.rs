//! Configures a control plane for tests.

use std::fmt;
use std::time::Duration;

use brokkr_agent_runtime::{Agent, AgentConfig};
use brokkr_control::{Broker, BrokerBuilder, InProcess};
use brokkr_core::store::MemoryStore;
use brokkr_reconcile::cluster::MemoryCluster;
use tokio_util::sync::CancellationToken;

use super::agent_builder::{AgentBuilder, agent};
use super::control_plane::ControlPlane;
use super::running_agent::RunningAgent;

type Compose = dyn FnOnce(BrokerBuilder) -> BrokerBuilder + Send;

/// Configures a [`ControlPlane`].
#[must_use = "a builder does nothing until it is started"]
pub struct ControlPlaneBuilder {
    agents: Vec<AgentBuilder>,
    compose: Box<Compose>,
}

impl ControlPlane {
    /// Starts a broker with the given number of agents, named `agent-1`, `agent-2` and so on.
    ///
    /// # Panics
    ///
    /// Panics if the broker does not start.
    pub async fn start(agents: usize) -> Self {
        Self::builder().agents(agents).start().await
    }

    /// Configures a control plane with the host's own generators, policies and agents.
    ///
    /// ```
    /// # brokkr::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use brokkr::prelude::*;
    /// use brokkr::testing::{ControlPlane, agent};
    ///
    /// #[derive(Debug)]
    /// struct Greeter;
    ///
    /// #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    /// # #[serde(crate = "brokkr::serde")]
    /// # #[schemars(crate = "brokkr::schemars")]
    /// struct Greeting {
    ///     text: String,
    /// }
    ///
    /// #[async_trait]
    /// impl Generator for Greeter {
    ///     type Params = Greeting;
    ///
    ///     fn name(&self) -> &str {
    ///         "greeter"
    ///     }
    ///
    ///     async fn generate(&self, ctx: &GenerateContext<'_>, greeting: Greeting) -> Result<Manifests, GenerateError> {
    ///         let data = json!({"greeting": greeting.text});
    ///         let metadata = json!({"name": ctx.stack.name});
    ///         Ok(Manifests::new([json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})]))
    ///     }
    /// }
    ///
    /// let builder = ControlPlane::builder().agent(agent("edge").label("region", "eu"));
    /// let plane = builder.broker(|broker| broker.generator(Greeter)).start().await;
    /// let hello = plane.generate::<Greeter>(StackSpec::named("hello"), Greeting { text: "hi".into() }).await;
    /// plane.converged(hello).await;
    /// assert_eq!(plane.agents()[0].object("ConfigMap", "default", "hello").unwrap()["data"]["greeting"], "hi");
    /// # });
    /// ```
    pub fn builder() -> ControlPlaneBuilder {
        ControlPlaneBuilder { agents: Vec::new(), compose: Box::new(|builder| builder) }
    }
}

impl ControlPlaneBuilder {
    /// Adds agents named `agent-1`, `agent-2` and so on, without labels.
    pub fn agents(mut self, count: usize) -> Self {
        let first = self.agents.len() + 1;
        self.agents.extend((first..first + count).map(|n| agent(format!("agent-{n}"))));
        self
    }

    /// Adds an agent.
    pub fn agent(mut self, agent: AgentBuilder) -> Self {
        self.agents.push(agent);
        self
    }

    /// Configures the broker, for example with generators and policies. Replaces the configuration of an earlier call.
    pub fn broker(mut self, compose: impl FnOnce(BrokerBuilder) -> BrokerBuilder + Send + 'static) -> Self {
        self.compose = Box::new(compose);
        self
    }

    /// Starts the broker on an in-memory store, and each agent on an in-memory cluster.
    ///
    /// # Panics
    ///
    /// Panics if the broker does not start or refuses an agent.
    pub async fn start(self) -> ControlPlane {
        let broker =
            (self.compose)(Broker::builder(MemoryStore::new())).start().await.expect("the broker should start");
        let stop = CancellationToken::new();
        let mut agents = Vec::new();
        for new in &self.agents {
            let created = broker.agent_create(&broker.system_actor(), new.to_create()).await;
            let (created, key) = created.expect("the broker should accept the agent");
            let cluster = MemoryCluster::new();
            let plane = InProcess::new(broker.clone(), key.pak.expect("a new agent should have a key"));
            let running = Agent::new(plane, cluster.clone(), config()).run(stop.clone());
            tokio::spawn(async move {
                if let Err(error) = running.await {
                    panic!("an agent stopped unexpectedly: {error}");
                }
            });
            agents.push(RunningAgent { id: created.id, name: created.name.to_string(), cluster });
        }
        ControlPlane::new(broker, agents, stop)
    }
}

/// One process per agent, without leader election, and with short retry delays.
fn config() -> AgentConfig {
    let second = Duration::from_secs(1);
    AgentConfig::default().interval(second).lease(None).retry(second / 20, second)
}

impl fmt::Debug for ControlPlaneBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlaneBuilder").field("agents", &self.agents).finish_non_exhaustive()
    }
}
