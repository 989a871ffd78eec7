//! `cargo xtask test`: everything.

use brokkr_testbed::{Kwok, Result, Tools, ensure_command};

use crate::run::cargo;
use crate::verify;

pub(crate) fn run() -> Result<()> {
    ensure_command("cc", "gcc")?;
    ensure_command("openssl", "openssl")?;
    println!("==> programs of Kubernetes");
    Tools::ensure()?;
    Kwok::ensure()?;
    verify::run()?;
    // The binaries are what the whole-system tests start.
    cargo("binaries", &["build", "--locked", "-p", "brokkr-broker", "-p", "brokkr-agent"])?;
    cargo("tests", &["test", "--workspace", "--locked"])?;
    cargo("demo", &["run", "--locked", "-p", "brokkr-broker", "--", "demo", "--once"])
}
