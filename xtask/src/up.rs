//! `cargo xtask up`: a broker, real clusters and their agents.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use brokkr_testbed::{Clusters, Error, Process, Result, ScratchFolder, TestCluster, Tools, free_port};
use clap::Args;
use serde_json::{Value, json};

use crate::run::{cargo, root};

#[derive(Args)]
pub(crate) struct UpArgs {
    /// How many clusters, each with an agent.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=10))]
    clusters: u8,
    /// A file to write everything to as JSON, once everything is ready.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One agent and what starts it again.
struct Agent {
    id: String,
    pak: String,
    process: Process,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
}

pub(crate) fn run(args: &UpArgs) -> Result<()> {
    let tools = Tools::ensure()?;
    cargo("binaries", &["build", "--locked", "-p", "brokkr-broker", "-p", "brokkr-agent"])?;
    let scratch = ScratchFolder::new("up")?;
    let folder = scratch.path();
    println!("==> {} clusters (logs and files in {})", args.clusters, folder.display());
    let clusters = Clusters::start(&tools, usize::from(args.clusters), folder)?;
    println!("==> broker");
    let (broker, url, admin_pak) = start_broker(folder)?;
    let mut agents = Vec::new();
    for cluster in &clusters.all {
        println!("==> agent of {}", cluster.name);
        agents.push(start_agent(cluster, folder, &url, &admin_pak)?);
    }
    let description = describe(&broker, &url, &admin_pak, &clusters, &agents);
    print(&url, &admin_pak, &clusters, &agents, &tools);
    if let Some(file) = &args.json {
        // Written beside and moved: whoever waits for the file finds it whole.
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, format!("{description:#}\n"))?;
        std::fs::rename(&unfinished, file)?;
    }
    println!("Ctrl-C ends everything.");
    // An interrupt ends this process, and with it by their keepers everything it started.
    loop {
        std::thread::park();
    }
}

fn binary(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("debug").join(name)
}

fn start_broker(folder: &Path) -> Result<(Process, String, String)> {
    let log = folder.join("broker.log");
    let listen = format!("127.0.0.1:{}", free_port()?);
    let args = ["serve".to_owned(), "--listen".to_owned(), listen];
    let broker = Process::start(&binary("brokkr-broker"), &args, &[], &log)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut text = String::new();
        std::fs::File::open(&log)?.read_to_string(&mut text)?;
        let after =
            |mark: &str| text.lines().find_map(|line| line.split_once(mark)).map(|(_, rest)| rest.trim().to_owned());
        if let (Some(key), Some(url)) = (after("admin key (shown this once):"), after("listening on")) {
            return Ok((broker, url, key));
        }
        if Instant::now() > deadline || !broker.is_running() {
            return Err(Error::new(format!("the broker did not start:\n{text}")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn start_agent(cluster: &TestCluster, folder: &Path, url: &str, admin_pak: &str) -> Result<Agent> {
    let output = Command::new(binary("brokkr-broker"))
        .args([
            "create",
            "agent",
            &cluster.name,
            "--cluster-name",
            &cluster.name,
            "--label",
            &format!("cluster={}", cluster.name),
        ])
        .env("BROKKR__URL", url)
        .env("BROKKR__PAK", admin_pak)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // After the document comes a line for people.
    let created: Value = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .next()
        .and_then(std::result::Result::ok)
        .ok_or_else(|| Error::new(format!("the agent was not created: {text}")))?;
    let (Some(id), Some(pak)) = (created["agent"]["id"].as_str(), created["pak"].as_str()) else {
        return Err(Error::new(format!("the agent was not created: {text}")));
    };
    let environment: BTreeMap<String, String> = [
        ("BROKKR__AGENT__BROKER_URL", url.to_owned()),
        ("BROKKR__AGENT__PAK", pak.to_owned()),
        ("KUBECONFIG", cluster.agent_kubeconfig.display().to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let program = binary("brokkr-agent");
    let command = vec![program.display().to_string(), "start".to_owned()];
    let variables: Vec<(String, String)> = environment.clone().into_iter().collect();
    let log = folder.join(format!("agent-{}.log", cluster.name));
    let process = Process::start(&program, &["start".to_owned()], &variables, &log)?;
    Ok(Agent { id: id.to_owned(), pak: pak.to_owned(), process, command, environment })
}

fn describe(broker: &Process, url: &str, admin_pak: &str, clusters: &Clusters, agents: &[Agent]) -> Value {
    let cluster = |(cluster, agent): (&TestCluster, &Agent)| {
        json!({
            "name": cluster.name,
            "kubeconfig": cluster.admin_kubeconfig,
            "agent_id": agent.id,
            "agent_pak": agent.pak,
            "agent_pid": agent.process.pid(),
            "agent_command": agent.command,
            "agent_env": agent.environment,
        })
    };
    json!({
        "broker_urls": [url],
        "broker_pids": [broker.pid()],
        "admin_pak": admin_pak,
        "database_url": null,
        "clusters": clusters.all.iter().zip(agents).map(cluster).collect::<Vec<_>>(),
    })
}

fn print(url: &str, admin_pak: &str, clusters: &Clusters, agents: &[Agent], tools: &Tools) {
    println!();
    println!("broker     {url}/api/v1");
    println!("admin key  {admin_pak}");
    println!("kubectl    {}", tools.path("kubectl").display());
    println!("all        {} (one context per cluster)", clusters.kubeconfig.display());
    for (cluster, agent) in clusters.all.iter().zip(agents) {
        println!();
        println!("{}", cluster.name);
        println!("  kubeconfig  {}", cluster.admin_kubeconfig.display());
        println!("  agent       {} (process {})", agent.id, agent.process.pid());
        println!("  agent key   {}", agent.pak);
    }
    println!();
}
