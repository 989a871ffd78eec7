//! One process of an agent, with a proxy in front of each server that it uses.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use brokkr_testbed::{AgentProcess, TestCluster};
use serde_json::Value;

use super::gate::Gate;
use super::key::Key;
use super::proxy::Proxy;
use super::world::World;
use crate::Result;

/// One process of an agent with its own user, and its proxies.
pub(crate) struct Replica {
    pub(crate) process: AgentProcess,
    pub(crate) api_server: Proxy,
    pub(crate) broker: Proxy,
    pub(crate) gate: Arc<Gate>,
    /// The user name in the cluster.
    pub(crate) user: String,
    audit_log: PathBuf,
    /// The position in the audit log before its start.
    audit_from: u64,
}

impl Replica {
    /// A process of the agent with this id and key. Does not start it.
    pub(crate) async fn new(world: &World, cluster: usize, id: &str, pak: &str, name: &str) -> Result<Self> {
        let number = world.next_user();
        let gate = Arc::new(Gate::new());
        let at = world.cluster(cluster)?;
        let api_server = Proxy::start(&at.url, &world.http, &gate).await?;
        let broker = Proxy::start(world.broker_url(), &world.http, &gate).await?;
        let kubeconfig = at.kubeconfig_by(&api_server.url, number)?;
        let audit_log = at.audit_log.clone();
        let audit_from = std::fs::metadata(&audit_log)?.len();
        let log = world.file(&format!("agent-{name}-{number}"));
        let process = AgentProcess::new(id, pak, &broker.url, &kubeconfig, &log)
            .env("BROKKR__AGENT__LEASE_SECONDS", world.lease_seconds.to_string())
            .env("LOG_LEVEL", "debug,hyper=info,hyper_util=info,reqwest=info,rustls=info,tower=info,kube_client=info");
        let (user, _) = TestCluster::agent_user(number);
        Ok(Self { process, api_server, broker, gate, user, audit_log, audit_from })
    }

    /// Kills the process if it runs, removes interference, and starts it.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.stop();
        self.process.start()?;
        Ok(())
    }

    pub(crate) fn stop(&mut self) {
        self.process.kill();
        self.unhook();
        self.gate.open();
    }

    pub(crate) fn unhook(&self) {
        self.api_server.unhook();
        self.broker.unhook();
    }

    /// All of its writes in the API server's audit log: time, object and verb.
    pub(crate) fn writes(&self) -> Result<Vec<Write>> {
        let events = brokkr_testbed::writes_by(&self.audit_log, self.audit_from, &self.user)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let write = |event: Value| Write {
            at: text(&event["requestReceivedTimestamp"]),
            verb: text(&event["verb"]),
            key: Key::audited(&event),
        };
        Ok(events.into_iter().map(write).collect())
    }
}

/// A write request.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    /// Time of arrival, in a form that sorts by time.
    pub(crate) at: String,
    pub(crate) verb: String,
    pub(crate) key: Key,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.at, self.verb, self.key)
    }
}
