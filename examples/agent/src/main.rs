//! `brokkr-agent`: the ready-made agent.
//!
//! Nothing but a composition: a broker reached over HTTP, a cluster found by kubeconfig or service account, and the
//! agent's loop between them.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use brokkr_agent_runtime::{Agent, AgentConfig, KubeCluster, Kubeconfig};
use brokkr_http::client::{Client, HttpControlPlane};
use clap::{Args, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

/// The agent: keeps a cluster as its broker wants it.
#[derive(Parser)]
#[command(name = "brokkr-agent", version)]
struct Cli {
    /// How much to log: error, warn, info, debug, trace, or a filter.
    #[arg(long, global = true, env = "LOG_LEVEL", default_value = "info,kube_client=error")]
    log_level: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs until it is told to stop.
    Start(StartArgs),
}

#[derive(Args)]
struct StartArgs {
    /// The broker's address; several, separated by commas, are tried in turn.
    #[arg(long, env = "BROKKR__AGENT__BROKER_URL", value_delimiter = ',', required = true)]
    broker_url: Vec<String>,
    /// The agent's key.
    #[arg(long, env = "BROKKR__AGENT__PAK", hide_env_values = true)]
    pak: String,
    /// A kubeconfig; without one KUBECONFIG, ~/.kube/config and then the pod's service account are tried.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig.
    #[arg(long)]
    context: Option<String>,
    /// Namespace for what the agent keeps in the cluster.
    #[arg(long, env = "BROKKR__AGENT__NAMESPACE", default_value = "brokkr-system")]
    namespace: String,
    /// Seconds between two comparisons of everything with the cluster.
    #[arg(long, env = "BROKKR__AGENT__INTERVAL_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval_seconds: u64,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(&cli.log_level))
        .with_writer(std::io::stderr)
        .init();
    brokkr_http::client::install_crypto_provider();
    let Command::Start(args) = cli.command;
    match start(args).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn start(args: StartArgs) -> Result<(), Box<dyn Error>> {
    let cluster = KubeCluster::connect(&Kubeconfig { file: args.kubeconfig, context: args.context }).await?;
    let urls = args.broker_url.into_iter().map(|url| url.trim().to_owned());
    let client = Client::builder(urls, args.pak.into()).build()?;
    let mut config = AgentConfig::default();
    config.namespace = args.namespace;
    config.interval = Duration::from_secs(args.interval_seconds);
    let agent = Agent::new(Arc::new(HttpControlPlane::new(client)), Arc::new(cluster), config);
    let stop = CancellationToken::new();
    let signalled = stop.clone();
    tokio::spawn(async move {
        signal().await;
        tracing::info!("stopping");
        signalled.cancel();
    });
    agent.run(stop).await?;
    Ok(())
}

/// Resolves on SIGINT or SIGTERM.
async fn signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            // Without a handler the signal ends the process by itself.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
