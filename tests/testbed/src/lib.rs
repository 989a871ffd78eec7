//! Real API servers and a real database for tests and for `cargo xtask up`.
//!
//! Every process that this crate starts ends with this process, for whatever reason that ends: see [`Process`].
#![expect(clippy::print_stderr, reason = "prints steps, some of which take long")]

mod agent;
mod audit;
mod broker;
mod certificates;
mod cluster;
mod clusters;
mod kubeconfig;
mod kubectl_reader;
mod kwok;
pub mod markdown;
mod nodes;
mod packages;
mod pgbouncer;
mod ports;
mod postgres;
mod process;
mod programs;
mod scratch;
pub mod shapes;
mod text_at;
mod tools;
mod wait;
mod workshop;

use std::fmt;

pub use agent::AgentProcess;
pub use audit::writes_by;
pub use broker::BrokerProcess;
pub use certificates::Certificates;
pub use cluster::TestCluster;
pub use clusters::Clusters;
pub use kubectl_reader::{KubectlReader, Sent};
pub use kwok::Kwok;
pub use nodes::Nodes;
pub use packages::ensure_command;
pub use pgbouncer::PgBouncer;
pub use ports::free_port;
pub use postgres::Postgres;
pub use process::Process;
pub use programs::program;
pub use scratch::ScratchFolder;
pub use text_at::text_at;
pub use tools::Tools;
pub use wait::wait_for;
pub use workshop::{node_modules, python_venv};

/// An error of the testbed. Its text contains the remedy, if there is one.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A result with the testbed's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Prints the current step to standard error.
pub fn say(text: &str) {
    eprintln!("testbed: {text}");
}
