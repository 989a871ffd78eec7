//! `cargo xtask faults`: what it survives.

use brokkr_testbed::Result;
use clap::{Args, ValueEnum};

use crate::run::{cargo, cargo_with};

#[derive(Args)]
pub(crate) struct FaultsArgs {
    /// Faults of what.
    #[arg(value_enum)]
    what: What,
    /// Only the fault with this name.
    #[arg(long)]
    only: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Of the database, and of brokers on it.
    Postgres,
}

pub(crate) fn run(args: &FaultsArgs) -> Result<()> {
    let What::Postgres = args.what;
    cargo("binaries", &["build", "--locked", "-p", "brokkr-broker", "-p", "brokkr-agent", "-p", "brokkr-faults"])?;
    let mut words = vec!["run", "--locked", "-p", "brokkr-faults", "--", "postgres"];
    if let Some(only) = &args.only {
        words.extend(["--only", only]);
    } else {
        let histories =
            ["test", "--locked", "-p", "brokkr-tests", "--test", "system", "--", "--nocapture", "postgres::random"];
        cargo_with("random histories", &histories, &[("BROKKR_HISTORIES", "2000")])?;
        println!("random-histories 2000/2000");
    }
    cargo("faults", &words)
}
