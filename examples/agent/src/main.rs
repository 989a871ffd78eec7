//! `brokkr-agent`: the ready-made agent.
//!
//! Composes Brokkr's parts: a broker reached over HTTP, a cluster from a kubeconfig or service account, and the agent that
//! connects them.
#![expect(clippy::print_stdout, reason = "prints the output of commands")]

mod broker_args;
mod clients;
mod plan;
mod probes;
mod rbac;
mod start;
mod values;

use clap::{Parser, Subcommand};

/// The agent: applies its target state to one cluster.
#[derive(Parser)]
#[command(name = "brokkr-agent", version)]
struct Cli {
    /// Log level: error, warn, info, debug, trace, or a filter.
    #[arg(long, global = true, env = "LOG_LEVEL", default_value = "info,kube_client=error")]
    log_level: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the agent until SIGINT or SIGTERM.
    Start(start::StartArgs),
    /// Prints the changes that the agent would make now, without making them.
    Plan(plan::PlanArgs),
    /// Prints the minimal RBAC rules for a set of manifests.
    Rbac(rbac::RbacArgs),
}

// One thread suffices, because an agent mostly waits, and every allocating thread keeps its own memory arena.
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
