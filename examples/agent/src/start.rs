//! `brokkr-agent start`.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use brokkr_agent_runtime::{Agent, AgentConfig};
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::connect::{ConnectArgs, Connected, connect};
use crate::probes;

#[derive(Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Seconds between two comparisons of everything with the cluster. What others change is seen at once where the agent
    /// may watch.
    #[arg(long, env = "BROKKR__AGENT__INTERVAL_SECONDS", default_value_t = AgentConfig::INTERVAL.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval_seconds: u64,
    /// Seconds for which a renewal of the leader's Lease is good; 0 for an agent that certainly runs once.
    #[arg(long, env = "BROKKR__AGENT__LEASE_SECONDS", default_value_t = AgentConfig::LEASE.as_secs(), value_parser = clap::value_parser!(u64).range(0..=600))]
    lease_seconds: u64,
    /// A folder that keeps events over a restart while the broker is away.
    #[arg(long, env = "BROKKR__AGENT__SPOOL_DIR")]
    spool_dir: Option<PathBuf>,
    /// Seconds over which the start of many agents is spread.
    #[arg(long, env = "BROKKR__AGENT__START_SPREAD_SECONDS", default_value_t = AgentConfig::START_SPREAD.as_secs(), value_parser = clap::value_parser!(u64).range(0..=600))]
    start_spread_seconds: u64,
    /// Where /healthz, /readyz and /metrics are answered.
    #[arg(long, env = "BROKKR__AGENT__LISTEN", default_value = "0.0.0.0:8080")]
    listen: String,
}

pub(crate) async fn run(args: StartArgs) -> Result<(), Box<dyn Error>> {
    let Connected { control_plane, cluster, config } = connect(args.connect).await?;
    let config = config
        .interval(Duration::from_secs(args.interval_seconds))
        .lease((args.lease_seconds > 0).then(|| Duration::from_secs(args.lease_seconds)))
        .spool(args.spool_dir)
        .start_spread(Duration::from_secs(args.start_spread_seconds));
    let agent = Agent::new(control_plane, cluster, config);
    let metrics = probes::install_metrics()?;
    let stop = CancellationToken::new();
    tokio::spawn(probes::serve(args.listen, agent.probe(), metrics, stop.clone()));
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
