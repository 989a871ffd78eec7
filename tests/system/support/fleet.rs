//! A broker and agents in one process, on clusters in memory or real ones.

use std::sync::Arc;
use std::time::Duration;

use brokkr_agent_runtime::{Agent, AgentConfig};
use brokkr_control::{Broker, Content, InProcess, NewAgent};
use brokkr_core::model::{AgentId, Condition, Policies, StackId, StackSpec, StackStatus};
use brokkr_core::store::MemoryStore;
use brokkr_reconcile::cluster::{Fenceable, MemoryCluster};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{AgentCluster, eventually};

/// A broker in memory and its agents. All of them stop on drop.
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

    /// A fleet over an existing broker.
    pub(crate) fn over(broker: Broker) -> Self {
        Self { broker, stop: CancellationToken::new() }
    }

    /// Creates an agent. Does not start it.
    pub(crate) async fn create(&self, name: &str) -> (AgentId, SecretString) {
        let new = NewAgent { name: name.to_owned(), ..NewAgent::default() };
        let (agent, pak) = self.broker.agent_create(&self.broker.system_actor(), new).await.unwrap();
        (agent.id, pak.pak.unwrap())
    }

    /// Starts an agent on a cluster. It runs until the token is cancelled.
    pub(crate) fn start(&self, pak: &SecretString, cluster: &impl AgentCluster) -> CancellationToken {
        start_on(&self.broker, pak, cluster.for_agent(), self.stop.child_token())
    }

    /// Starts an agent that writes the objects of generators with their rights.
    pub(crate) fn start_impersonating(&self, pak: &SecretString, cluster: &impl AgentCluster) -> CancellationToken {
        let config = quick().impersonate(true);
        start_configured(&self.broker, pak, cluster.for_agent(), config, self.stop.child_token())
    }

    pub(crate) async fn stack(&self, name: &str) -> StackId {
        self.stack_with(name, Policies::default()).await
    }

    pub(crate) async fn stack_with(&self, name: &str, policies: Policies) -> StackId {
        let spec = StackSpec { policies, ..StackSpec::named(name) };
        self.broker.stack_create(&self.broker.system_actor(), None, spec).await.unwrap().id
    }

    /// Makes a stack depend on another one.
    pub(crate) async fn depends(&self, stack: StackId, on: StackId) {
        let edit = |mut spec: StackSpec| {
            spec.depends_on = vec![on];
            Ok(spec)
        };
        self.broker.stack_update(&self.broker.system_actor(), stack, None, edit).await.unwrap();
    }

    pub(crate) async fn publish(&self, stack: StackId, documents: Vec<Value>) {
        let content = Content::Documents { documents, message: String::new() };
        self.broker.publish(&self.broker.system_actor(), stack, content).await.unwrap();
    }

    pub(crate) async fn target(&self, stack: StackId, agent: AgentId) {
        self.broker.target_set(&self.broker.system_actor(), stack, agent).await.unwrap();
    }

    /// Deletes a stack and waits until its agents have confirmed it.
    pub(crate) async fn delete(&self, stack: StackId) {
        let actor = self.broker.system_actor();
        self.broker.stack_delete(&actor, stack, None).await.unwrap();
        eventually("the stack is gone", async || match self.broker.stack_get(&actor, stack).await {
            Err(_) => Ok(()),
            Ok(_) => Err(self.status(stack).await),
        })
        .await;
    }

    /// The status that the first agent of a stack reports.
    async fn status(&self, stack: StackId) -> Option<StackStatus> {
        let status = self.broker.stack_status(&self.broker.system_actor(), stack).await.ok()?;
        status.agents.first()?.status.clone()
    }

    /// A condition of the stack on its first agent.
    pub(crate) async fn condition(&self, stack: StackId, kind: &str) -> Option<Condition> {
        self.status(stack).await?.conditions.into_iter().find(|it| it.kind == kind)
    }

    /// Fails unless the first agent reports this condition with this reason.
    pub(crate) async fn is(&self, stack: StackId, kind: &str, reason: &str) -> Result<(), String> {
        let condition = self.condition(stack, kind).await;
        let is_so = condition.as_ref().is_some_and(|it| it.reason == reason);
        if is_so { Ok(()) } else { Err(format!("{condition:?}")) }
    }

    /// Waits until the first agent's last attempt failed for this reason.
    pub(crate) async fn fails_with(&self, stack: StackId, reason: &str) {
        eventually(reason, async || {
            let status = self.status(stack).await;
            let error = status.as_ref().and_then(|it| it.last_error.as_ref());
            if error.is_some_and(|it| it.reason == reason) { Ok(()) } else { Err(status) }
        })
        .await;
    }

    /// Fails unless every agent of the stack has applied the newest revision.
    pub(crate) async fn applied(&self, stack: StackId) -> Result<(), String> {
        let status = self.broker.stack_status(&self.broker.system_actor(), stack).await.unwrap();
        let done = status.summary.agents > 0 && status.summary.applied == status.summary.agents;
        if done { Ok(()) } else { Err(format!("{status:?}")) }
    }
}

/// A running agent on a cluster, and an empty stack that is targeted at it.
pub(crate) struct Scene<C = MemoryCluster> {
    pub(crate) fleet: Fleet,
    pub(crate) cluster: C,
    pub(crate) agent: AgentId,
    pub(crate) pak: SecretString,
    /// Stops the agent.
    pub(crate) running: CancellationToken,
    pub(crate) stack: StackId,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::on(MemoryCluster::new()).await
    }
}

impl<C: AgentCluster> Scene<C> {
    /// A scene on an existing cluster.
    pub(crate) async fn on(cluster: C) -> Self {
        let fleet = Fleet::new().await;
        let (agent, pak) = fleet.create("edge").await;
        let running = fleet.start(&pak, &cluster);
        let stack = fleet.stack("web").await;
        fleet.target(stack, agent).await;
        Self { fleet, cluster, agent, pak, running, stack }
    }
}

/// Starts an agent with an interval of one second.
pub(crate) fn start_on(
    broker: &Broker,
    pak: &SecretString,
    cluster: Arc<dyn Fenceable>,
    stop: CancellationToken,
) -> CancellationToken {
    start_configured(broker, pak, cluster, quick(), stop)
}

/// The configuration of an agent with an interval of one second.
fn quick() -> AgentConfig {
    let second = Duration::from_secs(1);
    AgentConfig::default().interval(second).lease(None).retry(Duration::from_millis(100), second)
}

fn start_configured(
    broker: &Broker,
    pak: &SecretString,
    cluster: Arc<dyn Fenceable>,
    config: AgentConfig,
    stop: CancellationToken,
) -> CancellationToken {
    let agent = Agent::new(InProcess::new(broker.clone(), pak.clone()), cluster, config);
    let token = stop.clone();
    tokio::spawn(async move { agent.run(token).await });
    stop
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
