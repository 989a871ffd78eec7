//! `cargo xtask check real`.

use brokkr_testbed::{Kwok, Result, Tools};

use crate::run::{cargo, debug, program};

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    println!("==> programs of Kubernetes");
    Tools::ensure()?;
    Kwok::ensure()?;
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    let mut words = vec!["real"];
    words.extend(only.into_iter().flat_map(|name| ["--only", name]));
    program("real inputs", &debug("brokkr-faults"), &words)
}
