//! `brokkr-agent`: the ready-made agent.
//!
//! Nothing but a composition: a broker reached over HTTP, a cluster found by kubeconfig or service account, and the
//! agent's loop between them.
#![expect(clippy::print_stdout, reason = "prints what was asked for")]

mod connect;
mod plan;
mod probes;
mod rbac;
mod start;

use clap::{Parser, Subcommand};

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
    Start(start::StartArgs),
    /// Shows what the agent would change now, and changes nothing.
    Plan(plan::PlanArgs),
    /// Prints the rights that an agent needs for some manifests, and no more.
    Rbac(rbac::RbacArgs),
}

// One thread: an agent mostly waits, and each thread that allocates keeps memory of its own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(&cli.log_level))
        .with_writer(std::io::stderr)
        .init();
    brokkr_http::client::install_crypto_provider();
    let result = match cli.command {
        Command::Start(args) => start::run(args).await,
        Command::Plan(args) => plan::run(args).await,
        Command::Rbac(args) => rbac::run(args),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
