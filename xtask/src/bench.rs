//! `cargo xtask bench`: performance.

use brokkr_testbed::Result;
use clap::{Args, ValueEnum};

use crate::run::{built, cargo, program};

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// The benchmark to run.
    #[arg(value_enum)]
    what: Bench,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Publications per second, beside pgbench.
    Store,
    /// Unchanged polls per second, beside a minimal HTTP handler.
    Poll,
    /// The start of a broker on a large database.
    Start,
    /// The time from a publication to the answer of a long poll, and to the object in a cluster.
    Latency,
    /// The reconciler beside the API server's limit and kubectl, drift correction, and the agent's memory.
    Apply,
    /// What other tenants notice while one overloads the broker.
    Overload,
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
        Bench::Overload => "overload",
    };
    let benches = built("release", "brokkr-benches");
    if !matches!(args.what, Bench::Apply) {
        return program("bench", &benches, &[name]);
    }
    // The memory figure must be that of the shipped binary.
    cargo("the agent as shipped", &["build", "--profile", "dist", "--locked", "-p", "brokkr-agent"])?;
    program("bench", &benches, &[name, "--agent", &built("dist", "brokkr-agent").display().to_string()])
}
