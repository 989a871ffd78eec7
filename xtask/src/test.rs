//! `cargo xtask test`: everything.

use std::thread;

use brokkr_testbed::{Error, Kwok, Result, Tools, ensure_command};

use crate::run::{cargo, debug, program};
use crate::{check, verify};

pub(crate) fn run() -> Result<()> {
    ensure_command("cc", "gcc")?;
    ensure_command("openssl", "openssl")?;
    // Each of the two compilers leaves cores idle at times, so they work beside each other.
    thread::scope(|scope| {
        println!("==> programs of Kubernetes, beside what follows");
        let programs = scope.spawn(|| Tools::ensure().and_then(|_| Kwok::ensure()));
        let compiled = compile();
        if !programs.is_finished() {
            println!("==> waiting for the programs of Kubernetes");
        }
        let programs = programs.join().map_err(|_| Error::new("building the programs of Kubernetes panicked"))?;
        compiled.and(programs.map(drop))
    })?;
    cargo("tests", &["test", "--workspace", "--locked"])?;
    check::real::run_built(None)?;
    program("demo", &debug("brokkr-broker"), &["demo", "--once"])
}

fn compile() -> Result<()> {
    verify::run()?;
    // The binaries are what the whole-system tests start.
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    cargo("test programs", &["test", "--workspace", "--locked", "--no-run"])
}
