//! Benchmarks, each beside a baseline in the same run: `cargo xtask bench …`.
//!
//! Each figure is a line with a name and a number. Ratios are comparable between machines; absolute
//! numbers are not.
#![expect(clippy::print_stdout, reason = "prints figures")]

mod apply;
mod fixture;
mod http_load;
mod latency;
mod long_poll;
mod overload;
mod poll;
mod seed;
mod start;
mod store;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Benchmarks of Brokkr, each beside a baseline.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Publications per second through the store and through HTTP, beside pgbench.
    Store,
    /// Unchanged polls per second, beside a minimal HTTP handler.
    Poll,
    /// The time from the start of a broker on a large database to its first answer.
    Start,
    /// The time from a publication to the answer of a long poll, and to the object in a real cluster.
    Latency,
    /// The reconciler beside the API server's limit and kubectl, drift correction, and the agent's memory.
    Apply {
        /// The agent binary whose memory is measured. Default: the one in the folder of this program.
        #[arg(long)]
        agent: Option<PathBuf>,
    },
    /// What other tenants notice while one overloads the broker.
    Overload,
    /// The tenant that overloads the broker.
    #[command(hide = true)]
    Attack(overload::Attack),
    /// A minimal handler that answers 304, as a baseline.
    #[command(hide = true)]
    Bare {
        /// Address to listen on.
        listen: String,
    },
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;
/// The result of a measurement.
type Result<T> = std::result::Result<T, BoxedError>;

/// Prints one figure.
fn figure(name: &str, value: f64) {
    println!("{name} {value:.2}");
}

/// The value at this percentile, from 0.0 to 1.0.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((values.len() as f64 * share) as usize).copied().unwrap_or_default()
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    brokkr_http::client::install_crypto_provider();
    let result = match Cli::parse().bench {
        Bench::Store => store::run().await,
        Bench::Poll => poll::run().await,
        Bench::Start => start::run().await,
        Bench::Latency => match long_poll::run().await {
            Ok(()) => latency::run().await,
            failed => failed,
        },
        Bench::Apply { agent } => apply::run(agent).await,
        Bench::Overload => overload::run().await,
        Bench::Attack(attack) => overload::attack(attack).await,
        Bench::Bare { listen } => poll::bare(&listen).await,
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
