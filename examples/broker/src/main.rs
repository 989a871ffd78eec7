//! `brokkr-broker`: the ready-made broker.
//!
//! Composes Brokkr's parts: a store, a broker on it, and the REST API. A host does the same in its own `main`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "prints the output of commands")]

mod create;
mod database;
mod demo;
mod descriptors;
mod key_sink;
mod keys;
mod limits;
mod listen;
mod metrics;
mod runtime;
mod serve;
mod settings;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// Small allocations dominate the cost of an unchanged poll, so a fast allocator pays off.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The broker: stores the desired state and answers agents.
#[derive(Parser)]
#[command(name = "brokkr-broker", version)]
struct Cli {
    /// Log level: error, warn, info, debug, trace, or a filter such as brokkr_core=debug.
    #[arg(long, global = true, env = "LOG_LEVEL")]
    log_level: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a broker, three agents and an example application in one process.
    Demo(demo::DemoArgs),
    /// Serves the API.
    Serve(serve::ServeArgs),
    /// Updates the database schema, as the owner of the tables; or prints the SQL that creates the roles.
    Migrate(database::MigrateArgs),
    /// Manages the epoch that agents see.
    #[command(subcommand)]
    Epoch(database::EpochCommand),
    /// Manages admin keys with access to the database.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Creates an agent, a join token, a stack, a generator or an admin key through the API of a running broker.
    Create(Box<create::CreateArgs>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = runtime::runtime().map_err(Into::into).and_then(|runtime| runtime.block_on(run(cli)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    let default = if matches!(cli.command, Command::Serve(_)) { "info" } else { "error" };
    let filter = cli.log_level.as_deref().unwrap_or(default);
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .init();
    brokkr_http::client::install_crypto_provider();
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Migrate(args) => database::migrate(args).await,
        Command::Epoch(command) => database::epoch(command).await,
        Command::Keys(command) => keys::run(command).await,
        Command::Create(args) => create::run(*args).await,
    }
}
