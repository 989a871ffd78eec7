//! `cargo xtask check access`: each operation with each kind of caller, and secrets where they do not belong.

use brokkr_testbed::Result;

use crate::run::{cargo, debug, program};

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    run_built(only)
}

/// [`run`] without the builds.
pub(crate) fn run_built(only: Option<&str>) -> Result<()> {
    let mut words = vec!["access"];
    words.extend(only.into_iter().flat_map(|name| ["--only", name]));
    program("rights and secrets", &debug("brokkr-faults"), &words)
}
