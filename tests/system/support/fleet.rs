//! A broker and agents with clusters in memory, in one process.

use std::sync::Arc;
use std::time::Duration;

use brokkr_agent_runtime::{Agent, AgentConfig};
use brokkr_core::broker::{Broker, Content, NewAgent, StackSpec};
use brokkr_core::cluster::{Cluster, MemoryCluster};
use brokkr_core::model::{AgentId, StackId};
use brokkr_core::protocol::InProcess;
use brokkr_core::store::MemoryStore;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A broker and agents with clusters in memory. Everything stops when it is dropped.
pub(crate) struct Fleet {
    pub(crate) broker: Broker,
    stop: CancellationToken,
}

pub(crate) fn config_map(namespace: &str, name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": {"k": value}})
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

impl Fleet {
    pub(crate) async fn new() -> Self {
        Self {
            broker: Broker::builder(Arc::new(MemoryStore::new())).start().await.unwrap(),
            stop: CancellationToken::new(),
        }
    }

    /// The same over a broker that is there already.
    pub(crate) fn over(broker: Broker) -> Self {
        Self { broker, stop: CancellationToken::new() }
    }

    /// Creates an agent, without starting it.
    pub(crate) async fn create(&self, name: &str) -> (AgentId, SecretString) {
        let new = NewAgent { name: name.to_owned(), ..NewAgent::default() };
        let (agent, pak) = self.broker.agent_create(&self.broker.system_actor(), new).await.unwrap();
        (agent.id, pak.pak.unwrap())
    }

    /// Starts an agent on a cluster; it runs until the token is cancelled.
    pub(crate) fn start(&self, pak: &SecretString, cluster: &MemoryCluster) -> CancellationToken {
        start_on(&self.broker, pak, Arc::new(cluster.clone()), self.stop.child_token())
    }

    pub(crate) async fn stack(&self, name: &str) -> StackId {
        self.broker.stack_create(&self.broker.system_actor(), None, StackSpec::named(name)).await.unwrap().id
    }

    pub(crate) async fn publish(&self, stack: StackId, documents: Vec<Value>) {
        let content = Content::Documents { documents, message: String::new() };
        self.broker.publish(&self.broker.system_actor(), stack, content).await.unwrap();
    }

    pub(crate) async fn target(&self, stack: StackId, agent: AgentId) {
        self.broker.target_set(&self.broker.system_actor(), stack, agent).await.unwrap();
    }

    /// Fails unless every agent of the stack has applied the newest revision.
    pub(crate) async fn applied(&self, stack: StackId) -> Result<(), String> {
        let status = self.broker.stack_status(&self.broker.system_actor(), stack).await.unwrap();
        let done = status.summary.agents > 0 && status.summary.applied == status.summary.agents;
        if done { Ok(()) } else { Err(format!("{status:?}")) }
    }
}

/// One agent on a cluster in memory, running, and a stack that is targeted at it and has no content yet.
pub(crate) struct Scene {
    pub(crate) fleet: Fleet,
    pub(crate) cluster: MemoryCluster,
    pub(crate) agent: AgentId,
    pub(crate) pak: SecretString,
    /// Ends the agent.
    pub(crate) running: CancellationToken,
    pub(crate) stack: StackId,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::on(MemoryCluster::new()).await
    }

    /// The same on a cluster in which something is already.
    pub(crate) async fn on(cluster: MemoryCluster) -> Self {
        let fleet = Fleet::new().await;
        let (agent, pak) = fleet.create("edge").await;
        let running = fleet.start(&pak, &cluster);
        let stack = fleet.stack("web").await;
        fleet.target(stack, agent).await;
        Self { fleet, cluster, agent, pak, running, stack }
    }
}

/// Starts an agent that compares every second.
pub(crate) fn start_on(
    broker: &Broker,
    pak: &SecretString,
    cluster: Arc<dyn Cluster>,
    stop: CancellationToken,
) -> CancellationToken {
    let mut config = AgentConfig::default();
    config.interval = Duration::from_secs(1);
    config.lease = None;
    config.retry_first = Duration::from_millis(100);
    config.retry_max = Duration::from_secs(1);
    let agent = Agent::new(Arc::new(InProcess::new(broker.clone(), pak.clone())), cluster, config);
    let token = stop.clone();
    tokio::spawn(async move { agent.run(token).await });
    stop
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
