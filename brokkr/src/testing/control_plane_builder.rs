//! Configures a control plane for tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brokkr_agent_runtime::{Agent, AgentConfig};
use brokkr_control::{Broker, BrokerBuilder, InProcess};
use brokkr_core::clock::{Clock as _, ManualClock, SystemClock};
use brokkr_core::store::MemoryStore;
use brokkr_reconcile::cluster::MemoryCluster;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::agent_builder::{AgentBuilder, agent};
use super::control_plane::ControlPlane;
use super::running_agent::RunningAgent;

type Compose = dyn FnOnce(BrokerBuilder) -> BrokerBuilder + Send;

/// Configures a [`ControlPlane`].
#[must_use = "a builder does nothing until it is started"]
pub struct ControlPlaneBuilder {
    agents: Vec<AgentBuilder>,
    generators: Vec<String>,
    has_controllers: bool,
    clock: Option<Arc<ManualClock>>,
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
        ControlPlaneBuilder {
            agents: Vec::new(),
            generators: Vec::new(),
            has_controllers: false,
            clock: None,
            compose: Box::new(|builder| builder),
        }
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

    /// Runs simulated controllers in every cluster: those of Deployments, ReplicaSets, StatefulSets, DaemonSets, Pods, Jobs,
    /// Services, volume claims, volumes, autoscalers and disruption budgets, as [`MemoryCluster::with_controllers`] describes.
    /// Everything becomes healthy at once. Default: none; an applied Deployment stays `progressing`.
    pub fn with_controllers(mut self) -> Self {
        self.has_controllers = true;
        self
    }

    /// Creates a generator with this name, if there is none, and registers every agent with it, with the grant `unrestricted`.
    /// [`ControlPlane::generator`] returns its id. For hosts whose stacks belong to a generator:
    ///
    /// ```
    /// # brokkr::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use brokkr::prelude::*;
    /// use brokkr::testing::{ControlPlane, agent};
    ///
    /// let eu = agent("eu-1").label("region", "eu");
    /// let plane = ControlPlane::builder().agent(eu).generator_principal("platform").start().await;
    /// let platform = plane.broker().generator_actor(plane.generator("platform")).unwrap();
    /// let stack = StackSpec::named("shop").label("region", "eu");
    /// let stack = plane.broker().stack_create(&platform, None, stack).await.unwrap();
    /// let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}});
    /// let content = Content::Documents { documents: vec![settings], message: String::new() };
    /// plane.broker().publish(&platform, stack.id, content).await.unwrap();
    /// assert_eq!(plane.converged(stack.id).await.summary.applied, 1);
    /// # });
    /// ```
    pub fn generator_principal(mut self, name: impl Into<String>) -> Self {
        self.generators.push(name.into());
        self
    }

    /// Stops the broker's clock: time passes only by [`ControlPlane::advance`]. For controllers and everything with an end.
    /// Default: the time of the operating system.
    pub fn paused_clock(mut self) -> Self {
        self.clock = Some(Arc::new(ManualClock::new(SystemClock.now())));
        self
    }

    /// Configures the broker, for example with generators and policies. Replaces the configuration of an earlier call.
    pub fn broker(mut self, compose: impl FnOnce(BrokerBuilder) -> BrokerBuilder + Send + 'static) -> Self {
        self.compose = Box::new(compose);
        self
    }

    /// Starts the broker on an in-memory store, and each agent on an in-memory cluster of its own.
    ///
    /// The clusters run no controllers, so workloads have no status unless the test writes one, except after
    /// [`with_controllers`](Self::with_controllers).
    ///
    /// # Panics
    ///
    /// Panics if the broker does not start or refuses an agent.
    pub async fn start(self) -> ControlPlane {
        let builder = (self.compose)(Broker::builder(MemoryStore::new()));
        let builder = match &self.clock {
            Some(clock) => builder.clock(clock.clone()),
            None => builder,
        };
        let broker = builder.start().await.expect("the broker should start");
        let stop = CancellationToken::new();
        let mut generators = BTreeMap::new();
        for name in self.generators {
            let ensured = broker.ensure_generator(&broker.system_actor(), &name, "").await;
            generators.insert(name, ensured.expect("the broker should accept the generator").id);
        }
        let mut agents = Vec::new();
        for new in self.agents {
            let new = generators.values().fold(new, |new, generator| new.registered_with(*generator));
            let cluster = if self.has_controllers { MemoryCluster::with_controllers() } else { MemoryCluster::new() };
            agents.push(run(&broker, new, cluster, stop.child_token()).await);
        }
        ControlPlane::new(broker, agents, generators, self.clock, stop)
    }
}

/// Creates an agent and starts it on `cluster`.
async fn run(broker: &Broker, new: AgentBuilder, cluster: MemoryCluster, stop: CancellationToken) -> RunningAgent {
    let created = broker.agent_create(&broker.system_actor(), new.to_create()).await;
    let (created, key) = created.expect("the broker should accept the agent");
    let plane = InProcess::new(broker.clone(), key.pak.expect("a new agent should have a key"));
    let running = Agent::new(plane, cluster.clone(), config()).run(stop.clone());
    let task = TaskTracker::new();
    task.spawn(async move {
        if let Err(error) = running.await {
            panic!("an agent stopped unexpectedly: {error}");
        }
    });
    task.close();
    RunningAgent { id: created.id, name: created.name.to_string(), cluster, stop, task }
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
