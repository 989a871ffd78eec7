//! What Brokkr survives: `cargo xtask faults …`.
//!
//! Each fault ends with a line `name survived/tried`; the exit status says whether all was survived.
#![expect(clippy::print_stdout, reason = "prints what was survived")]

mod disk;
mod fixture;
mod frozen;
mod hints;
mod hopping;
mod kills;
mod order;
mod restore;
mod rolling;

use clap::{Parser, Subcommand};

/// What Brokkr survives.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Faults of the database, and of brokers on it.
    Postgres {
        /// Only the fault with this name.
        #[arg(long)]
        only: Option<String>,
    },
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, BoxedError>;

/// How a fault ended.
struct Outcome {
    survived: u64,
    tried: u64,
}

impl Outcome {
    /// Everything that was tried, if nothing was found to be wrong.
    fn of(tried: u64, wrong: u64) -> Self {
        Self { survived: tried.saturating_sub(wrong), tried }
    }
}

async fn one(name: &str) -> Result<Outcome> {
    match name {
        "feed-order" => order::run().await,
        "server-killed" => kills::run().await,
        "disk-full" => disk::run().await,
        "listener-killed" => hints::listener_killed().await,
        "foreign-transaction" => hints::foreign_transaction().await,
        "replica-frozen" => frozen::run().await,
        "agents-hop" => hopping::run().await,
        "replicas-restarted" => rolling::restarted().await,
        "replica-killed" => rolling::killed().await,
        "restored-dump" => restore::dump().await,
        "restored-files" => restore::files().await,
        name => Err(format!("there is no fault {name}").into()),
    }
}

const ALL: [&str; 11] = [
    "feed-order",
    "server-killed",
    "disk-full",
    "listener-killed",
    "foreign-transaction",
    "replica-frozen",
    "agents-hop",
    "replicas-restarted",
    "replica-killed",
    "restored-dump",
    "restored-files",
];

#[tokio::main]
async fn main() -> std::process::ExitCode {
    brokkr_http::client::install_crypto_provider();
    let What::Postgres { only } = Cli::parse().what;
    let mut lost = false;
    for name in ALL.into_iter().filter(|name| only.as_ref().is_none_or(|only| only == name)) {
        println!("==> {name}");
        match one(name).await {
            Ok(Outcome { survived, tried }) => {
                lost |= survived < tried || tried == 0;
                println!("{name} {survived}/{tried}");
            }
            Err(error) => {
                lost = true;
                println!("{name} could not be tried: {error}");
            }
        }
    }
    if lost { std::process::ExitCode::FAILURE } else { std::process::ExitCode::SUCCESS }
}
