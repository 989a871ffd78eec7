//! `cargo xtask check`: checks of the code base, and of Brokkr against other tools and their files.

pub(crate) mod access;
mod contract;
pub(crate) mod desired;
pub(crate) mod docs;
pub(crate) mod house;
pub(crate) mod inputs;
mod reading;
pub(crate) mod real;
pub(crate) mod spelling;

use brokkr_testbed::Result;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The check to run.
    #[arg(value_enum)]
    what: What,
    /// Only the check with this name.
    #[arg(long)]
    only: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The code base: circular imports, sizes, examples in the documentation, dependencies.
    House,
    /// Misspelled words.
    Spelling,
    /// Links, languages and tests of the README and the book.
    Docs,
    /// Manifests with the structure of published install files, and known failures of other tools, on real API servers.
    Real,
    /// What tenants may deploy: refused by the broker, refused by agents, allowed by a grant, on real API servers.
    Authority,
    /// Rights: each operation with each kind of caller, on objects of its own, of others, missing and deleted; and secrets in logs
    /// and responses. On both stores.
    Access,
    /// What agents should hold, in random histories beside a model. On both stores.
    Desired,
    /// Bad inputs against a broker, and the peak of its memory under many at once.
    Inputs,
    /// Manifests as the broker stores them, compared with those that kubectl would send.
    Reading,
    /// The API against its served OpenAPI document, and clients generated from it.
    Contract,
}

pub(crate) fn run(args: &CheckArgs) -> Result<()> {
    let only = args.only.as_deref();
    match args.what {
        What::House => house::run(),
        What::Spelling => spelling::run(),
        What::Docs => docs::run(),
        What::Real => real::run(only),
        What::Authority => real::run(Some("authority")),
        What::Access => access::run(only),
        What::Desired => desired::run(only),
        What::Inputs => inputs::run(only),
        What::Reading => reading::run(only),
        What::Contract => contract::run(only),
    }
}
