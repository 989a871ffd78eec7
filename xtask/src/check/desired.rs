//! `cargo xtask check desired`: what agents should hold, beside a model.

use brokkr_testbed::Result;

use crate::run::{cargo, debug, program};

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    run_built(only)
}

/// [`run`] without the builds.
pub(crate) fn run_built(only: Option<&str>) -> Result<()> {
    let mut words = vec!["desired"];
    words.extend(only.into_iter().flat_map(|name| ["--only", name]));
    program("desired revisions", &debug("brokkr-faults"), &words)
}
