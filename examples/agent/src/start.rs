//! `brokkr-agent start`.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use brokkr_agent_runtime::{Agent, AgentConfig};
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::clients::{Clients, ConnectArgs, JoinArgs, build_clients};
use crate::probes;

#[derive(Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    join: JoinArgs,
    /// Interval in seconds between full comparisons with the cluster. Changes of watched objects are handled immediately.
    #[arg(long, env = "BROKKR__AGENT__INTERVAL_SECONDS", default_value_t = AgentConfig::INTERVAL.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval_seconds: u64,
    /// Duration of the leader election lease in seconds; 0 disables leader election, for agents with a single process.
    #[arg(long, env = "BROKKR__AGENT__LEASE_SECONDS", default_value_t = AgentConfig::LEASE.as_secs(), value_parser = clap::value_parser!(u64).range(0..=600))]
    lease_seconds: u64,
    /// Directory that keeps undelivered events across restarts. Default: events are kept in memory.
    #[arg(long, env = "BROKKR__AGENT__SPOOL_DIR")]
    spool_dir: Option<PathBuf>,
    /// Maximum random delay of the start in seconds, to spread the load of many agents.
    #[arg(long, env = "BROKKR__AGENT__START_SPREAD_SECONDS", default_value_t = AgentConfig::START_SPREAD.as_secs(), value_parser = clap::value_parser!(u64).range(0..=600))]
    start_spread_seconds: u64,
    /// Address for /healthz, /readyz and /metrics.
    #[arg(long, env = "BROKKR__AGENT__LISTEN", default_value = "0.0.0.0:8080")]
    listen: String,
}

pub(crate) async fn run(args: StartArgs) -> Result<(), Box<dyn Error>> {
    let metrics = probes::install_metrics()?;
    let stop = CancellationToken::new();
    // A join may wait for the broker for long, so the probes are served before it.
    let probe = Arc::new(OnceLock::new());
    tokio::spawn(probes::serve(args.listen, probe.clone(), metrics, stop.clone()));
    let signalled = stop.clone();
    tokio::spawn(async move {
        signal().await;
        tracing::info!("stopping");
        signalled.cancel();
    });
    let clients = build_clients(args.connect, args.join, &stop).await?;
    let Some(Clients { control_plane, cluster, config }) = clients else { return Ok(()) };
    let config = config
        .interval(Duration::from_secs(args.interval_seconds))
        .lease((args.lease_seconds > 0).then(|| Duration::from_secs(args.lease_seconds)))
        .spool(args.spool_dir)
        .start_spread(Duration::from_secs(args.start_spread_seconds));
    let agent = Agent::new(control_plane, cluster, config);
    // Nothing else sets it.
    let _ = probe.set(agent.probe());
    agent.run(stop).await?;
    Ok(())
}

/// Resolves on SIGINT or SIGTERM.
async fn signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            // If the handler cannot be installed, the signal's default action ends the process.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
