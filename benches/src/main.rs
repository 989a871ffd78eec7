//! What Brokkr costs, beside bare equivalents that are measured in the same run: `cargo xtask bench …`.
//!
//! Each figure stands on a line of its own, a name and a number. Ratios say what they say on any machine; absolute
//! numbers are this machine's.
#![expect(clippy::print_stdout, reason = "prints figures")]

mod fixture;
mod http_load;
mod latency;
mod poll;
mod seed;
mod start;
mod store;

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
    /// From publishing to the object in a real cluster.
    Latency,
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

#[tokio::main]
async fn main() -> std::process::ExitCode {
    brokkr_http::client::install_crypto_provider();
    let result = match Cli::parse().bench {
        Bench::Store => store::run().await,
        Bench::Poll => poll::run().await,
        Bench::Start => start::run().await,
        Bench::Latency => latency::run().await,
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
