//! `cargo xtask test`: everything.

use brokkr_testbed::{Kwok, Result, Tools, ensure_command};

use crate::run::{cargo, debug, program};
use crate::verify;

pub(crate) fn run() -> Result<()> {
    ensure_command("cc", "gcc")?;
    ensure_command("openssl", "openssl")?;
    println!("==> programs of Kubernetes");
    Tools::ensure()?;
    Kwok::ensure()?;
    verify::run()?;
    // The binaries are what the whole-system tests start.
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    cargo("tests", &["test", "--workspace", "--locked"])?;
    program("demo", &debug("brokkr-broker"), &["demo", "--once"])
}
