//! `cargo xtask check inputs`: bad inputs, and many at once, against a broker.

use brokkr_testbed::Result;

use crate::run::{cargo, debug, program};

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    run_built(only)
}

/// [`run`] without the builds.
pub(crate) fn run_built(only: Option<&str>) -> Result<()> {
    let mut words = vec!["inputs"];
    words.extend(only.into_iter().flat_map(|name| ["--only", name]));
    program("bad inputs", &debug("brokkr-faults"), &words)
}
