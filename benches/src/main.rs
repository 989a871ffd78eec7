//! What Brokkr costs, beside bare equivalents that are measured in the same run: `cargo xtask bench …`.
//!
//! Each figure stands on a line of its own, a name and a number. Ratios say what they say on any machine; absolute
//! numbers are this machine's.
#![expect(clippy::print_stdout, reason = "prints figures")]

mod apply;
mod fixture;
mod http_load;
mod latency;
mod long_poll;
mod poll;
mod seed;
mod start;
mod store;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What Brokkr costs, beside bare equivalents.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Publishing: the store and HTTP beside pgbench.
    Store,
    /// Unchanged polls beside a bare handler.
    Poll,
    /// From starting a broker on a large database to its first answer.
    Start,
    /// From publishing to the answer of a long poll, and to the object in a real cluster.
    Latency,
    /// The reconciler beside the API server's limit and kubectl; drift; memory.
    Apply {
        /// The agent whose memory is measured; the one beside this program by default.
        #[arg(long)]
        agent: Option<PathBuf>,
    },
    /// A bare handler that answers 304, for comparison.
    #[command(hide = true)]
    Bare {
        /// Where to listen.
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

/// The value below which this share of the others lie.
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
