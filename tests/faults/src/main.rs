//! Fault injection and checks on real servers: `cargo xtask faults …`, `cargo xtask check real`, `cargo xtask check inputs`,
//! `cargo xtask check access`, `cargo xtask check desired`.
//!
//! Each fault prints a line `name survived/tried`. The exit status is 0 if every fault was survived.
#![expect(clippy::print_stdout, reason = "prints the results")]

mod access;
mod agent;
mod desired;
mod inputs;
mod postgres;
mod real;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Fault injection and checks on real servers.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Injects faults into PostgreSQL and into brokers on it.
    Postgres {
        /// Only the fault with this name.
        #[arg(long)]
        only: Option<String>,
    },
    /// Injects faults into agents and clusters, on real API servers.
    Agent {
        /// Only the fault with this name.
        #[arg(long)]
        only: Option<String>,
    },
    /// Calls each operation with each kind of caller, on both stores.
    Access {
        /// Only the group with this name.
        #[arg(long)]
        only: Option<String>,
    },
    /// Compares what agents should hold with a model, in random histories, on both stores.
    Desired {
        /// Only the check on this store: `memory` or `postgresql`.
        #[arg(long)]
        only: Option<String>,
    },
    /// Sends bad inputs to a broker, and many at once.
    Inputs {
        /// Only the group with this name.
        #[arg(long)]
        only: Option<String>,
    },
    /// Checks manifests with the structure of published install files, on real API servers. Prints a line `name right/all` for each check.
    Real {
        /// Only the check with this name, or `unlucky`: the status texts of wrong manifests.
        #[arg(long)]
        only: Option<String>,
        /// File for the status texts of `unlucky`, as JSON.
        #[arg(long)]
        write: Option<PathBuf>,
    },
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, BoxedError>;

/// The result of a fault.
struct Outcome {
    survived: u64,
    tried: u64,
}

impl Outcome {
    /// The outcome of attempts of which `wrong` failed.
    fn of(tried: u64, wrong: u64) -> Self {
        Self { survived: tried.saturating_sub(wrong), tried }
    }
}

/// Selects the faults to run. Fails if no fault has the name.
fn chosen(all: &[&'static str], only: Option<&str>) -> Result<Vec<&'static str>> {
    let names: Vec<_> = all.iter().copied().filter(|name| only.is_none_or(|only| only == *name)).collect();
    if names.is_empty() {
        return Err(format!("no fault named {}; known faults: {}", only.unwrap_or_default(), all.join(", ")).into());
    }
    Ok(names)
}

/// Prints the result of a fault. Returns true if an attempt failed, or if there were none.
fn tell(name: &str, outcome: Result<Outcome>) -> bool {
    match outcome {
        Ok(Outcome { survived, tried }) => {
            println!("{name} {survived}/{tried}");
            survived < tried || tried == 0
        }
        Err(error) => {
            println!("{name}: cannot inject the fault: {error}");
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
        What::Access { only } => lost = access::run(only.as_deref()).await?,
        What::Desired { only } => lost = desired::run(only.as_deref()).await?,
        What::Inputs { only } => lost = inputs::run(only.as_deref()).await?,
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
