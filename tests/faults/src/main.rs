//! What Brokkr survives: `cargo xtask faults …`.
//!
//! Each fault ends with a line `name survived/tried`; the exit status says whether all was survived.
#![expect(clippy::print_stdout, reason = "prints what was survived")]

mod agent;
mod postgres;
mod real;

use std::path::PathBuf;

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
    /// Faults of the agent and of its cluster, on real API servers.
    Agent {
        /// Only the fault with this name.
        #[arg(long)]
        only: Option<String>,
    },
    /// What Brokkr does with what real projects publish, on real API servers. Each check ends with a line `name right/all`.
    Real {
        /// Only the check with this name, or `unlucky`: what the status says of manifests that are wrong.
        #[arg(long)]
        only: Option<String>,
        /// Where `unlucky` writes what the status says, as JSON.
        #[arg(long)]
        write: Option<PathBuf>,
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

/// The names among these that are to be tried; an error if there are none.
fn chosen(all: &[&'static str], only: Option<&str>) -> Result<Vec<&'static str>> {
    let names: Vec<_> = all.iter().copied().filter(|name| only.is_none_or(|only| only == *name)).collect();
    if names.is_empty() {
        return Err(format!("there is no fault {}; there are {}", only.unwrap_or_default(), all.join(", ")).into());
    }
    Ok(names)
}

/// Prints how a fault ended; whether something was lost, or nothing tried.
fn tell(name: &str, outcome: Result<Outcome>) -> bool {
    match outcome {
        Ok(Outcome { survived, tried }) => {
            println!("{name} {survived}/{tried}");
            survived < tried || tried == 0
        }
        Err(error) => {
            println!("{name} could not be tried: {error}");
            true
        }
    }
}

async fn run(what: What) -> Result<bool> {
    let mut lost = false;
    match what {
        What::Postgres { only } => {
            for name in chosen(&postgres::ALL, only.as_deref())? {
                println!("==> {name}");
                lost |= tell(name, postgres::one(name).await);
            }
        }
        What::Agent { only } => {
            let names = chosen(&agent::ALL, only.as_deref())?;
            let mut world = agent::World::start("faults-agent").await?;
            for name in names {
                println!("==> {name}");
                lost |= tell(name, agent::one(&mut world, name).await);
            }
        }
        What::Real { only, write } => lost = real::run(only.as_deref(), write).await?,
    }
    Ok(lost)
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    brokkr_http::client::install_crypto_provider();
    match run(Cli::parse().what).await {
        Ok(false) => std::process::ExitCode::SUCCESS,
        Ok(true) => std::process::ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
