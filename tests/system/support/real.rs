//! Real API servers, and brokers and agents as processes.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use brokkr_testbed::{
    AgentProcess, BrokerProcess, Clusters, Kwok, Nodes, Process, ScratchFolder, TestCluster, Tools, free_port, program,
};
use serde_json::Value;

use super::eventually;

struct Shared {
    folder: ScratchFolder,
    clusters: Clusters,
}

/// The number of clusters that the tests share. Each test has its own agents, namespaces and names.
const COUNT: usize = 3;

fn shared() -> &'static Shared {
    // Keeps a failure too, so that all tests share one attempt and one message.
    static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| {
        let start = || {
            let tools = Tools::ensure()?;
            let folder = ScratchFolder::new("tests")?;
            let clusters = Clusters::start(&tools, COUNT, folder.path())?;
            Ok::<_, brokkr_testbed::Error>(Shared { folder, clusters })
        };
        start().map_err(|error| error.to_string())
    });
    shared.as_ref().unwrap_or_else(|error| panic!("the clusters did not start: {error}"))
}

/// The clusters. The first call starts them; they end with the test process.
pub(crate) fn clusters() -> &'static [TestCluster] {
    &shared().clusters.all
}

/// The cluster with simulated pods. The first call adds a scheduler and a node.
pub(crate) fn cluster_with_nodes() -> &'static TestCluster {
    static NODES: OnceLock<Result<Nodes, String>> = OnceLock::new();
    let cluster = &clusters()[2];
    let nodes = NODES.get_or_init(|| {
        let start =
            || Nodes::start(&Tools::ensure()?, &Kwok::ensure()?, cluster, &shared().folder.path().join("nodes"));
        start().map_err(|error| error.to_string())
    });
    assert!(nodes.is_ok(), "the node did not start: {nodes:?}");
    cluster
}

pub(crate) fn log(name: &str) -> PathBuf {
    static COUNT: Mutex<u32> = Mutex::new(0);
    let mut count = COUNT.lock().unwrap();
    *count += 1;
    shared().folder.path().join(format!("{name}-{count}.log"))
}

/// A broker in its own process.
pub(crate) struct Broker {
    pub(crate) url: String,
    pub(crate) admin: String,
    pub(crate) process: Option<Process>,
}

impl Broker {
    /// Starts a broker in memory, on this port or a free one.
    pub(crate) async fn start(port: Option<u16>) -> Self {
        let port = port.unwrap_or_else(|| free_port().unwrap());
        let log = log("broker");
        let broker = BrokerProcess::start(&program("brokkr-broker").unwrap(), port, &[], None, &log).unwrap();
        Self { url: broker.url, admin: broker.admin.unwrap(), process: Some(broker.process) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Runs curl, as a user does. Returns the status and the body.
    pub(crate) fn curl(&self, method: &str, path: &str, headers: &[&str], body: Option<&str>) -> (u16, Value) {
        let mut command = std::process::Command::new("curl");
        command.args([
            "-s",
            "-X",
            method,
            "-w",
            "\n%{http_code}",
            "-H",
            &format!("Authorization: Bearer {}", self.admin),
        ]);
        for header in headers {
            command.args(["-H", header]);
        }
        if let Some(body) = body {
            command.args(["--data-binary", body]);
        }
        let output = command.arg(format!("{}/api/v1{path}", self.url)).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.curl("GET", path, &[], None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, body) = self.curl(method, path, &["content-type: application/json"], Some(&body.to_string()));
        assert!((200..300).contains(&status), "{method} {path}: {status} {body}");
        body
    }

    /// Publishes YAML and returns the revision.
    pub(crate) fn publish(&self, stack: &str, yaml: &str) -> u64 {
        let path = format!("/stacks/{stack}/deployment-objects");
        let (status, body) = self.curl("POST", &path, &["content-type: application/yaml"], Some(yaml));
        assert!(matches!(status, 200 | 201), "{status} {body}");
        body["revision"].as_u64().unwrap()
    }

    /// Publishes manifests as JSON and returns the revision.
    pub(crate) fn publish_all(&self, stack: &str, manifests: &[Value]) -> u64 {
        let body = serde_json::json!({"manifests": manifests});
        let published = self.send("POST", &format!("/stacks/{stack}/deployment-objects"), &body);
        published["revision"].as_u64().unwrap()
    }

    /// Creates a stack and returns its id.
    pub(crate) fn stack(&self, name: &str) -> String {
        self.stack_with(name, serde_json::json!({}))
    }

    /// Creates a stack with policies and returns its id.
    pub(crate) fn stack_with(&self, name: &str, policies: Value) -> String {
        let body = serde_json::json!({"name": name, "policies": policies});
        self.send("POST", "/stacks", &body)["id"].as_str().unwrap().to_owned()
    }

    /// Deletes a stack and waits until all agents have confirmed it.
    pub(crate) async fn delete_stack(&self, stack: &str) {
        self.curl("DELETE", &format!("/stacks/{stack}"), &[], None);
        eventually("the stack is gone", || async {
            let (status, body) = self.curl("GET", &format!("/stacks/{stack}"), &[], None);
            // Ignore the result: the stack may already be gone.
            let seen = || (body, self.curl("GET", &format!("/stacks/{stack}/status"), &[], None));
            if status == 404 { Ok(()) } else { Err(seen()) }
        })
        .await;
    }

    /// The status that the first agent of a stack reports.
    pub(crate) fn status(&self, stack: &str) -> Value {
        self.get(&format!("/stacks/{stack}/status"))["agents"][0].clone()
    }

    /// Fails unless the first agent's last attempt failed for this reason.
    pub(crate) fn fails_with(&self, stack: &str, reason: &str) -> Result<(), Value> {
        let status = self.status(stack);
        if status["last_error"]["reason"] == reason { Ok(()) } else { Err(status) }
    }

    /// Fails unless the first agent reports this condition with this status.
    pub(crate) fn condition(&self, stack: &str, kind: &str, expected: &str) -> Result<(), Value> {
        let status = self.status(stack);
        let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_so = conditions.iter().any(|it| it["type"] == kind && it["status"] == expected);
        if is_so { Ok(()) } else { Err(status) }
    }

    pub(crate) fn target(&self, stack: &str, agent: &AgentProcess) {
        let (status, body) = self.curl("PUT", &format!("/stacks/{stack}/targets/{}", agent.id), &[], None);
        assert_eq!(status, 200, "{body}");
    }

    /// Fails unless every agent of the stack has applied this revision.
    pub(crate) fn applied(&self, stack: &str, revision: u64) -> Result<(), Value> {
        let status = self.get(&format!("/stacks/{stack}/status"));
        let agents = status["agents"].as_array().unwrap();
        let done = !agents.is_empty() && agents.iter().all(|it| it["applied_revision"] == revision);
        if done { Ok(()) } else { Err(status) }
    }
}

/// Creates an agent for a cluster and starts it, with an agent's rights only.
pub(crate) fn agent_of(broker: &Broker, name: &str, cluster: &TestCluster) -> AgentProcess {
    agent_through(broker, &broker.url, name, cluster)
}

/// Creates and starts an agent that connects to another address of the broker.
pub(crate) fn agent_through(broker: &Broker, url: &str, name: &str, cluster: &TestCluster) -> AgentProcess {
    let created = broker.send("POST", "/agents", &serde_json::json!({"name": name, "cluster_name": cluster.name}));
    let (id, pak) = (created["agent"]["id"].as_str().unwrap(), created["pak"].as_str().unwrap());
    let mut agent = AgentProcess::new(id, pak, url, &cluster.agent_kubeconfig, &log("agent"));
    agent.start().unwrap();
    agent
}
