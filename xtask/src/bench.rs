//! `cargo xtask bench`: what it costs.

use brokkr_testbed::Result;
use clap::{Args, ValueEnum};

use crate::run::{built, cargo, program};

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// What to measure.
    #[arg(value_enum)]
    what: Bench,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Publishing beside pgbench.
    Store,
    /// Unchanged polls beside a bare handler.
    Poll,
    /// Starting a broker on a large database.
    Start,
    /// From publishing to the answer of a long poll, and to the object in a cluster.
    Latency,
    /// The reconciler beside the API server's limit and kubectl; drift; memory.
    Apply,
}

pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    let packages = ["-p", "brokkr-broker", "-p", "brokkr-agent", "-p", "brokkr-benches"];
    cargo("optimised binaries", &[&["build", "--release", "--locked"], &packages[..]].concat())?;
    let name = match args.what {
        Bench::Store => "store",
        Bench::Poll => "poll",
        Bench::Start => "start",
        Bench::Latency => "latency",
        Bench::Apply => "apply",
    };
    let benches = built("release", "brokkr-benches");
    if !matches!(args.what, Bench::Apply) {
        return program("bench", &benches, &[name]);
    }
    // How much memory an agent needs is a figure of what is shipped.
    cargo("the shipped agent", &["build", "--profile", "dist", "--locked", "-p", "brokkr-agent"])?;
    program("bench", &benches, &[name, "--agent", &built("dist", "brokkr-agent").display().to_string()])
}
