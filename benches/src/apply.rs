//! The reconciler, beside the API server's own limit and beside kubectl.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_agent_runtime::{AgentConfig, ClusterSource, KubeCluster};
use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::{AgentId, Policies, Revision, StackId, Validate};
use brokkr_core::protocol::Tenant;
use brokkr_reconcile::cluster::{ApiKind, ApplyOptions, Cluster, Patch};
use brokkr_reconcile::{Applier as _, Desired, DesiredStack, Goal, Progress, Reconciler, ReconcilerConfig};
use brokkr_testbed::{BrokerProcess, Clusters, Process, TestCluster, Tools, free_port, text_at};
use futures::StreamExt as _;
use http::Method;
use serde_json::{Value, json};

use crate::fixture::{binary, peak_mib, text};
use crate::{Result, figure, percentile};

const OBJECTS: usize = 1_000;
/// Concurrent requests of the direct client and of the reconciler.
const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
const DRIFTS: usize = 100;

struct Bench {
    cluster: TestClusterRef,
    kube: Arc<KubeCluster>,
    maps: ApiKind,
    kubectl: PathBuf,
    agent: PathBuf,
}

struct TestClusterRef {
    admin_kubeconfig: PathBuf,
    agent_kubeconfig: PathBuf,
    audit_log: PathBuf,
}

impl TestClusterRef {
    fn of(cluster: &TestCluster) -> Self {
        Self {
            admin_kubeconfig: cluster.admin_kubeconfig.clone(),
            agent_kubeconfig: cluster.agent_kubeconfig.clone(),
            audit_log: cluster.audit_log.clone(),
        }
    }
}

fn config_map(namespace: &str, number: usize) -> Value {
    let metadata = json!({"name": format!("object-{number:05}"), "namespace": namespace});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": "x".repeat(200)}})
}

fn config_maps(namespace: &str, count: usize) -> Vec<Value> {
    (0..count).map(|number| config_map(namespace, number)).collect()
}

pub(crate) async fn run(agent: Option<PathBuf>) -> Result<()> {
    let agent = agent.map_or_else(|| binary("brokkr-agent"), Ok)?;
    let folder = brokkr_testbed::ScratchFolder::new("bench-apply").map_err(text)?;
    let tools = Tools::ensure().map_err(text)?;
    let clusters = Clusters::start(&tools, 1, folder.path()).map_err(text)?;
    let cluster = clusters.all.first().ok_or("no cluster")?;
    let from = ClusterSource::default().file(cluster.agent_kubeconfig.clone());
    let kube = Arc::new(KubeCluster::connect(&from).await?);
    let discovery = kube.discover().await?;
    let maps = discovery.preferred("", "ConfigMap").ok_or("no ConfigMaps")?.clone();
    let kubectl = tools.path("kubectl");
    let bench = Bench { cluster: TestClusterRef::of(cluster), kube, maps, kubectl, agent };
    bench.namespace("brokkr-system")?;
    bench.beside_the_limit(folder.path()).await?;
    bench.drift_and_memory(folder.path(), OBJECTS).await?;
    bench.drift_and_memory(folder.path(), 10 * OBJECTS).await
}

impl Bench {
    fn kubectl(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.kubectl);
        let output = command
            .arg("--kubeconfig")
            .arg(&self.cluster.admin_kubeconfig)
            .args(arguments)
            .env("HOME", "/tmp")
            .output()?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
    }

    fn namespace(&self, name: &str) -> Result<()> {
        self.kubectl(&["create", "namespace", name])
    }

    /// Applies the objects with a direct client and the same concurrency. Returns seconds.
    async fn bare(&self, namespace: &str) -> Result<f64> {
        self.namespace(namespace)?;
        let objects = config_maps(namespace, OBJECTS);
        let began = Instant::now();
        let applies = objects.iter().map(|object| async move {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let options = ApplyOptions { field_manager: "bare", force: false, dry_run: false };
            self.kube.apply(&self.maps.at(Some(namespace), name), object, &options).await
        });
        let mut applied = futures::stream::iter(applies).buffer_unordered(CONNECTIONS);
        while let Some(result) = applied.next().await {
            result?;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    /// Applies the same objects with the reconciler. Returns the seconds, then the milliseconds and writes of a second, idle pass.
    async fn reconciled(&self, namespace: &str, validate: Validate) -> Result<(f64, f64, usize)> {
        self.namespace(namespace)?;
        let (agent, stack_id) = (AgentId::generate(), StackId::generate());
        let reconciler = Reconciler::new(self.kube.clone(), ReconcilerConfig::new(agent, AgentConfig::NAMESPACE));
        let manifests = Arc::new(ManifestSet::from_documents(config_maps(namespace, OBJECTS))?);
        let policies = Policies { validate, ..Policies::default() };
        let goal = Goal::Apply { revision: Revision::FIRST, manifests };
        let (name, depends_on) = ("bench".to_owned(), Vec::new());
        let tenant = Arc::new(Tenant::system());
        let stack = DesiredStack { stack_id, name, tenant, policies, depends_on, goal };
        let desired = Desired { stacks: vec![stack], complete: true, may_remove: true };
        let due = BTreeSet::from([stack_id]);
        let began = Instant::now();
        let outcomes = reconciler.reconcile(&desired, &due).await?;
        let seconds = began.elapsed().as_secs_f64();
        if outcomes.iter().any(|it| it.progress != Progress::Done || it.writes != OBJECTS) {
            return Err(format!("the reconciler did not apply every object: {outcomes:?}").into());
        }
        let writes_before = self.writes()?;
        let began = Instant::now();
        reconciler.reconcile(&desired, &due).await?;
        let idle = began.elapsed().as_secs_f64() * 1000.0;
        Ok((seconds, idle, self.writes()? - writes_before))
    }

    /// Counts the writes of the agent's user so far in the API server's audit log.
    fn writes(&self) -> Result<usize> {
        let log = std::fs::read_to_string(&self.cluster.audit_log)?;
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let is_write = |event: &Value| {
            event["user"]["username"] == "brokkr-agent"
                && matches!(event["verb"].as_str(), Some("create" | "update" | "patch" | "delete"))
        };
        Ok(events.filter(is_write).count())
    }

    async fn beside_the_limit(&self, folder: &Path) -> Result<()> {
        // The first requests open connections and fill the server's caches.
        self.bare("warm").await?;
        let (mut plain, mut validated, mut kubectl) = (Vec::new(), Vec::new(), Vec::new());
        let (mut idle, mut idle_writes, mut rates) = (Vec::new(), 0, Vec::new());
        for round in 0..ROUNDS {
            let bare = self.bare(&format!("bare-{round}")).await?;
            rates.push(OBJECTS as f64 / bare);
            let (seconds, noop, writes) = self.reconciled(&format!("plain-{round}"), Validate::None).await?;
            plain.push(bare / seconds);
            idle.push(noop);
            idle_writes += writes;
            let (with_validation, _, writes) = self.reconciled(&format!("validated-{round}"), Validate::Server).await?;
            validated.push(bare / with_validation);
            idle_writes += writes;
            let namespace = format!("kubectl-{round}");
            self.namespace(&namespace)?;
            let file = folder.join("objects.yaml");
            let mut documents = String::new();
            for object in config_maps(&namespace, OBJECTS) {
                writeln!(documents, "---\n{object}")?;
            }
            std::fs::write(&file, documents)?;
            let began = Instant::now();
            self.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()])?;
            kubectl.push(began.elapsed().as_secs_f64() / seconds);
        }
        figure("api_limit_per_second", percentile(&mut rates, 0.5));
        figure("apply_vs_api_limit", percentile(&mut plain, 0.5));
        figure("apply_validated_vs_api_limit", percentile(&mut validated, 0.5));
        figure("kubectl_vs_apply", percentile(&mut kubectl, 0.5));
        println!("noop_writes {idle_writes}");
        figure("noop_ms", percentile(&mut idle, 0.5));
        Ok(())
    }

    /// Measures the time until the agent corrects drift, and the memory of an agent with this number of objects.
    async fn drift_and_memory(&self, folder: &Path, objects: usize) -> Result<()> {
        let namespace = format!("held-{objects}");
        self.namespace(&namespace)?;
        let port = free_port().map_err(text)?;
        let log = folder.join(format!("broker-{objects}.log"));
        let broker = BrokerProcess::start(&binary("brokkr-broker")?, port, &[], None, &log).map_err(text)?;
        let key = broker.admin.clone().ok_or("the broker printed no admin key")?;
        let client = brokkr_http::client::Client::builder([&broker.url], key).build()?;
        let created: Value = client.send(Method::POST, "/agents", Some(&json!({"name": "edge"}))).await?;
        let agent = text_at(&created, "/agent/id")?;
        let variables = [
            ("BROKKR__AGENT__BROKER_URL", broker.url.clone()),
            ("BROKKR__AGENT__PAK", text_at(&created, "/pak")?.to_owned()),
            ("BROKKR__AGENT__LISTEN", "127.0.0.1:0".to_owned()),
            ("BROKKR__AGENT__METRICS_LISTEN", "127.0.0.1:0".to_owned()),
            ("KUBECONFIG", self.cluster.agent_kubeconfig.display().to_string()),
        ];
        let variables = variables.map(|(key, value)| (key.to_owned(), value));
        let log = folder.join(format!("agent-{objects}.log"));
        let process = Process::start(&self.agent, &["start".to_owned()], &variables, &log).map_err(text)?;
        let all = config_maps(&namespace, objects);
        for (number, part) in all.chunks(5_000).enumerate() {
            let stack: Value =
                client.send(Method::POST, "/stacks", Some(&json!({"name": format!("held-{number}")}))).await?;
            let stack = text_at(&stack, "/id")?;
            let path = format!("/stacks/{stack}/deployment-objects");
            client.send::<Value>(Method::POST, &path, Some(&json!({"manifests": part}))).await?;
            let _: Value =
                client.send(Method::PUT, &format!("/stacks/{stack}/targets/{agent}"), None::<&Value>).await?;
            let began = Instant::now();
            loop {
                let status: Value =
                    client.send(Method::GET, &format!("/stacks/{stack}/status"), None::<&Value>).await?;
                if status["summary"]["applied"] == 1 {
                    break;
                }
                if began.elapsed() > Duration::from_secs(120) {
                    return Err(format!("the agent did not apply the stack within 120 s: {status}").into());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        if objects == OBJECTS {
            self.drift(&namespace).await?;
        }
        // Wait for several more passes: the peak includes their memory.
        tokio::time::sleep(Duration::from_secs(25)).await;
        figure(&format!("agent_mib_{objects}_objects"), peak_mib(process.pid())?);
        Ok(())
    }

    async fn drift(&self, namespace: &str) -> Result<()> {
        let from = ClusterSource::default().file(self.cluster.admin_kubeconfig.clone());
        let human = KubeCluster::connect(&from).await?;
        let mut times = Vec::new();
        for number in 0..DRIFTS {
            let name = format!("object-{number:05}");
            let at = self.maps.at(Some(namespace), &name);
            let began = Instant::now();
            human.patch(&at, &Patch::Merge(json!({"data": {"value": "changed"}})), "human").await?;
            loop {
                let object = human.get(&at).await?.unwrap_or_default();
                if object["data"]["value"].as_str().is_some_and(|it| it.starts_with('x')) {
                    break;
                }
                if began.elapsed() > Duration::from_secs(60) {
                    return Err(format!("the agent did not restore {name} within 60 s").into());
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            times.push(began.elapsed().as_secs_f64() * 1000.0);
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        figure("drift_ms_p50", percentile(&mut times, 0.5));
        figure("drift_ms_p99", percentile(&mut times, 0.99));
        Ok(())
    }
}
