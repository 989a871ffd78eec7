//! `cargo xtask check real`.

use brokkr_testbed::{Kwok, Result, Tools};

use crate::run::{cargo, debug, program};

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    println!("==> programs of Kubernetes");
    Tools::ensure()?;
    Kwok::ensure()?;
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    run_built(only)
}

/// The same where everything was built before.
pub(crate) fn run_built(only: Option<&str>) -> Result<()> {
    let mut words = vec!["real"];
    words.extend(only.into_iter().flat_map(|name| ["--only", name]));
    program("real inputs", &debug("brokkr-faults"), &words)
}
