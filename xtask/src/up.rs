//! `cargo xtask up`: starts brokers, real clusters and their agents.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use brokkr_testbed::{
    BrokerProcess, Clusters, Error, Postgres, Process, Result, ScratchFolder, TestCluster, Tools, free_port,
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::run::{cargo, debug, root};

#[derive(Args)]
pub(crate) struct UpArgs {
    /// Number of clusters, each with one agent.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=10))]
    clusters: u8,
    /// Where the brokers store their data.
    #[arg(long, value_enum, default_value_t = StoreKind::Memory)]
    store: StoreKind,
    /// Number of brokers. More than one need `--store postgres`.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    brokers: u8,
    /// Gives the agents only the rights that `brokkr-agent rbac` prints for the manifests in examples/manifests, instead of
    /// making them administrators of their clusters.
    #[arg(long)]
    least_privilege: bool,
    /// Writes keys, addresses and kubeconfigs to this file as JSON, once every process is ready.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Where the brokers store their data.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StoreKind {
    /// In the broker's memory.
    Memory,
    /// In a PostgreSQL server that this command starts.
    Postgres,
}

/// An agent with the command that restarts it.
struct Agent {
    id: String,
    pak: String,
    process: Process,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
}

pub(crate) fn run(args: &UpArgs) -> Result<()> {
    if args.brokers > 1 && args.store == StoreKind::Memory {
        return Err(Error::new("several brokers need a shared database: add --store postgres"));
    }
    let tools = Tools::ensure()?;
    // The same package selection as for the tests: another one changes features and recompiles everything.
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    let scratch = ScratchFolder::new("up")?;
    let folder = scratch.path();
    println!("==> {} clusters (logs and files in {})", args.clusters, folder.display());
    let clusters = Clusters::start(&tools, usize::from(args.clusters), folder)?;
    let database = match args.store {
        StoreKind::Memory => None,
        StoreKind::Postgres => Some(start_database(folder)?),
    };
    let url = database.as_ref().map(|(_, url)| url.as_str());
    let (mut brokers, mut admin_pak) = (Vec::new(), None);
    for number in 0..args.brokers {
        println!("==> broker {}", number + 1);
        let log = folder.join(format!("broker-{number}.log"));
        let broker = BrokerProcess::start(&debug("brokkr-broker"), free_port()?, &[], url, &log)?;
        admin_pak = admin_pak.or_else(|| broker.admin.clone());
        brokers.push(broker);
    }
    let admin_pak = admin_pak.ok_or_else(|| Error::new("no broker made an admin key"))?;
    let urls = brokers.iter().map(|broker| broker.url.as_str()).collect::<Vec<_>>().join(",");
    let mut agents = Vec::new();
    for cluster in &clusters.all {
        println!("==> agent of {}", cluster.name);
        grant(cluster, folder, args.least_privilege)?;
        agents.push(start_agent(cluster, folder, &urls, &admin_pak)?);
    }
    let description = describe(&brokers, url, &admin_pak, &clusters, &agents);
    print(&brokers, url, &admin_pak, &clusters, &agents, &tools);
    if let Some(file) = &args.json {
        // Write to another file and rename it, so that a reader never sees a partial file.
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, format!("{description:#}\n"))?;
        std::fs::rename(&unfinished, file)?;
    }
    if args.least_privilege {
        println!("The agents may apply examples/manifests and nothing else. To let them apply more, for each cluster:");
        println!("  {} rbac --user brokkr-agent --for FILE | kubectl apply -f -", debug("brokkr-agent").display());
    }
    println!("Ctrl-C stops every process.");
    // Until here a signal ends this process at once, and the keepers end every process that it started.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    signals.forever().next();
    // Ignore write errors: the terminal may be closed.
    let _ = writeln!(std::io::stdout(), "==> stopping every process");
    Ok(())
}

fn grant(cluster: &TestCluster, folder: &Path, least_privilege: bool) -> Result<()> {
    if !least_privilege {
        return cluster.let_agent_do_everything();
    }
    let printed = Command::new(debug("brokkr-agent"))
        .args(["rbac", "--user", "brokkr-agent", "--for"])
        .arg(root().join("examples/manifests/application.yaml"))
        .output()?;
    if !printed.status.success() {
        return Err(Error::new(format!("brokkr-agent rbac: {}", String::from_utf8_lossy(&printed.stdout))));
    }
    let rights = folder.join(format!("rights-{}.yaml", cluster.name));
    std::fs::write(&rights, printed.stdout)?;
    cluster.let_agent_do_only(&rights)
}

/// Starts a server with the two roles and the schema. Returns it with the address for brokers.
fn start_database(folder: &Path) -> Result<(Postgres, String)> {
    println!("==> PostgreSQL");
    let server = Postgres::start(&folder.join("postgres"))?;
    server.create_brokkr("brokkr")?;
    let migrated = Command::new(debug("brokkr-broker"))
        .arg("migrate")
        .env("DATABASE_URL", server.url_of("brokkr_owner", "brokkr"))
        .output()?;
    if !migrated.status.success() {
        return Err(Error::new(format!("brokkr-broker migrate failed: {}", String::from_utf8_lossy(&migrated.stdout))));
    }
    let url = server.url_of("brokkr_broker", "brokkr");
    Ok((server, url))
}

fn start_agent(cluster: &TestCluster, folder: &Path, urls: &str, admin_pak: &str) -> Result<Agent> {
    let output = Command::new(debug("brokkr-broker"))
        .args([
            "create",
            "agent",
            &cluster.name,
            "--cluster-name",
            &cluster.name,
            "--label",
            &format!("cluster={}", cluster.name),
        ])
        .env("BROKKR__URL", urls.split(',').next().unwrap_or(urls))
        .env("BROKKR__PAK", admin_pak)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // The command prints the JSON document, then a line for people.
    let created: Value = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .next()
        .and_then(std::result::Result::ok)
        .ok_or_else(|| Error::new(format!("cannot create the agent: {text}")))?;
    let (Some(id), Some(pak)) = (created["agent"]["id"].as_str(), created["pak"].as_str()) else {
        return Err(Error::new(format!("cannot create the agent: {text}")));
    };
    let environment: BTreeMap<String, String> = [
        ("BROKKR__AGENT__BROKER_URL", urls.to_owned()),
        ("BROKKR__AGENT__PAK", pak.to_owned()),
        ("BROKKR__AGENT__LISTEN", format!("127.0.0.1:{}", free_port()?)),
        ("BROKKR__AGENT__METRICS_LISTEN", format!("127.0.0.1:{}", free_port()?)),
        ("KUBECONFIG", cluster.agent_kubeconfig.display().to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let program = debug("brokkr-agent");
    let command = vec![program.display().to_string(), "start".to_owned()];
    let variables: Vec<(String, String)> = environment.clone().into_iter().collect();
    let log = folder.join(format!("agent-{}.log", cluster.name));
    let process = Process::start(&program, &["start".to_owned()], &variables, &log)?;
    Ok(Agent { id: id.to_owned(), pak: pak.to_owned(), process, command, environment })
}

fn describe(
    brokers: &[BrokerProcess],
    database: Option<&str>,
    admin_pak: &str,
    clusters: &Clusters,
    agents: &[Agent],
) -> Value {
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
        "broker_urls": brokers.iter().map(|broker| &broker.url).collect::<Vec<_>>(),
        "broker_pids": brokers.iter().map(|broker| broker.process.pid()).collect::<Vec<_>>(),
        "admin_pak": admin_pak,
        "database_url": database,
        "clusters": clusters.all.iter().zip(agents).map(cluster).collect::<Vec<_>>(),
    })
}

fn print(
    brokers: &[BrokerProcess],
    database: Option<&str>,
    admin_pak: &str,
    clusters: &Clusters,
    agents: &[Agent],
    tools: &Tools,
) {
    println!();
    for broker in brokers {
        println!("broker     {}/api/v1 (process {})", broker.url, broker.process.pid());
    }
    if let Some(url) = database {
        println!("database   {url}");
    }
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
