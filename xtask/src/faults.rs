//! `cargo xtask faults`: fault injection.

use brokkr_testbed::{Result, Tools};
use clap::{Args, ValueEnum};

use crate::run::{cargo, cargo_with, debug, program};

#[derive(Args)]
pub(crate) struct FaultsArgs {
    /// The group of faults to inject.
    #[arg(value_enum)]
    what: What,
    /// Only the fault with this name.
    #[arg(long)]
    only: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Faults of PostgreSQL, and of brokers on it.
    Postgres,
    /// Faults of the agent and of its cluster, on real API servers.
    Agent,
}

pub(crate) fn run(args: &FaultsArgs) -> Result<()> {
    if matches!(args.what, What::Agent) {
        println!("==> Kubernetes programs");
        Tools::ensure()?;
    }
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    let name = match args.what {
        What::Postgres => "postgres",
        What::Agent => "agent",
    };
    let mut words = vec![name];
    match (&args.only, args.what) {
        (Some(only), _) => words.extend(["--only", only]),
        (None, What::Postgres) => random_histories()?,
        (None, What::Agent) => {}
    }
    program("faults", &debug("brokkr-faults"), &words)
}

fn random_histories() -> Result<()> {
    let histories = ["test", "--locked", "--workspace", "--test", "system", "--", "--nocapture", "postgres::random"];
    cargo_with("random histories", &histories, &[("BROKKR_HISTORIES", "2000")])?;
    println!("random-histories 2000/2000");
    Ok(())
}
