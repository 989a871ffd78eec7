//! `cargo xtask check real`: published files on real API servers.

use brokkr_testbed::{Kwok, Result, Tools};

use crate::run::{cargo, debug, program};

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    println!("==> Kubernetes programs");
    Tools::ensure()?;
    Kwok::ensure()?;
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    run_built(only)
}

/// [`run`] without the builds.
pub(crate) fn run_built(only: Option<&str>) -> Result<()> {
    let mut words = vec!["real"];
    words.extend(only.into_iter().flat_map(|name| ["--only", name]));
    program("real inputs", &debug("brokkr-faults"), &words)
}
