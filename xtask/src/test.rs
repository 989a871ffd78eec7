//! `cargo xtask test`: every check and test.

use std::thread;

use brokkr_testbed::{Error, Kwok, Result, Tools, ensure_command};

use crate::run::{cargo, debug, program};
use crate::{check, verify};

pub(crate) fn run() -> Result<()> {
    ensure_command("cc", "gcc")?;
    ensure_command("openssl", "openssl")?;
    // Go and cargo each leave cores idle at times, so both builds run in parallel.
    thread::scope(|scope| {
        println!("==> Kubernetes programs, in parallel with the next steps");
        let programs = scope.spawn(|| Tools::ensure().and_then(|_| Kwok::ensure()));
        let compiled = compile();
        if !programs.is_finished() {
            println!("==> waiting for the Kubernetes programs");
        }
        let programs = programs.join().map_err(|_| Error::new("the build of the Kubernetes programs panicked"))?;
        compiled.and(programs.map(drop))
    })?;
    cargo("tests", &["test", "--workspace", "--locked"])?;
    check::inputs::run_built(None)?;
    check::access::run_built(None)?;
    check::desired::run_built(None)?;
    check::real::run_built(None)?;
    program("demo", &debug("brokkr-broker"), &["demo", "--once"])
}

fn compile() -> Result<()> {
    verify::run()?;
    // The whole-system tests start these binaries.
    cargo("binaries", &["build", "--workspace", "--bins", "--locked"])?;
    cargo("test programs", &["test", "--workspace", "--locked", "--no-run"])
}
