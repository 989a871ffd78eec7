//! `cargo xtask check`: the code base as figures, and what Brokkr does with inputs and tools that others made.

mod contract;
pub(crate) mod docs;
pub(crate) mod house;
mod reading;
pub(crate) mod real;

use brokkr_testbed::Result;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// What to check.
    #[arg(value_enum)]
    what: What,
    /// Only the check with this name.
    #[arg(long)]
    only: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Circular imports, sizes, examples in the documentation, dependencies: what keeps the code base easy to enter.
    House,
    /// Links, languages and tests of the README and the book.
    Docs,
    /// Manifests of the shapes that real projects publish, and unlucky ones, on real API servers.
    Real,
    /// What the broker stores of a manifest beside what kubectl would send.
    Reading,
    /// The served OpenAPI document beside what the API takes and answers, and clients generated from it.
    Contract,
}

pub(crate) fn run(args: &CheckArgs) -> Result<()> {
    let only = args.only.as_deref();
    match args.what {
        What::House => house::run(),
        What::Docs => docs::run(),
        What::Real => real::run(only),
        What::Reading => reading::run(only),
        What::Contract => contract::run(only),
    }
}
