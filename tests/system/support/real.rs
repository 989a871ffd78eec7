//! Real API servers, and brokers and agents as processes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use brokkr_testbed::{BrokerProcess, Clusters, Process, ScratchFolder, TestCluster, Tools, free_port};
use serde_json::Value;

struct Shared {
    folder: ScratchFolder,
    clusters: Clusters,
}

/// How many clusters the tests share. Each test has agents, namespaces and names of its own.
const COUNT: usize = 3;

fn shared() -> &'static Shared {
    // A failure is kept as well: one attempt, and one message, for all tests.
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

/// The clusters; started at the first call, ended with the test process.
pub(crate) fn clusters() -> &'static [TestCluster] {
    &shared().clusters.all
}

pub(crate) fn binary(name: &str) -> PathBuf {
    // The test's own binary is target/<profile>/deps/system-…; the programs are beside `deps`.
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap();
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: cargo build -p brokkr-broker -p brokkr-agent (cargo xtask test does)",
        path.display()
    );
    path
}

fn log(name: &str) -> PathBuf {
    static COUNT: Mutex<u32> = Mutex::new(0);
    let mut count = COUNT.lock().unwrap();
    *count += 1;
    shared().folder.path().join(format!("{name}-{count}.log"))
}

/// A broker in a process of its own.
pub(crate) struct Broker {
    pub(crate) url: String,
    pub(crate) admin: String,
    pub(crate) process: Option<Process>,
}

impl Broker {
    /// Starts one in memory; on a port where another one was before, if given.
    pub(crate) async fn start(port: Option<u16>) -> Self {
        let port = port.unwrap_or_else(|| free_port().unwrap());
        let log = log("broker");
        let broker = BrokerProcess::start(&binary("brokkr-broker"), port, &[], None, &log).unwrap();
        Self { url: broker.url, admin: broker.admin.unwrap(), process: Some(broker.process) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Runs curl, as a user would: the status and the body.
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

    /// Creates a stack; its id.
    pub(crate) fn stack(&self, name: &str) -> String {
        self.send("POST", "/stacks", &serde_json::json!({"name": name}))["id"].as_str().unwrap().to_owned()
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

/// An agent in a process of its own, with an agent's rights only.
pub(crate) struct AgentProcess {
    pub(crate) id: String,
    pak: String,
    broker_url: String,
    kubeconfig: PathBuf,
    pub(crate) process: Option<Process>,
}

/// Creates an agent for a cluster and starts it.
pub(crate) fn agent_of(broker: &Broker, name: &str, cluster: &TestCluster) -> AgentProcess {
    let created = broker.send("POST", "/agents", &serde_json::json!({"name": name, "cluster_name": cluster.name}));
    let mut agent = AgentProcess {
        id: created["agent"]["id"].as_str().unwrap().to_owned(),
        pak: created["pak"].as_str().unwrap().to_owned(),
        broker_url: broker.url.clone(),
        kubeconfig: cluster.agent_kubeconfig.clone(),
        process: None,
    };
    agent.start();
    agent
}

impl AgentProcess {
    pub(crate) fn start(&mut self) {
        let variables = [
            ("BROKKR__AGENT__BROKER_URL", self.broker_url.clone()),
            ("BROKKR__AGENT__PAK", self.pak.clone()),
            ("BROKKR__AGENT__INTERVAL_SECONDS", "2".to_owned()),
            ("KUBECONFIG", self.kubeconfig.display().to_string()),
        ];
        let variables = variables.map(|(key, value)| (key.to_owned(), value));
        let log = log("agent");
        self.process = Some(Process::start(&binary("brokkr-agent"), &["start".to_owned()], &variables, &log).unwrap());
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// What this agent's field manager is called.
    pub(crate) fn manager(&self) -> String {
        format!("brokkr-{}", self.id)
    }
}
