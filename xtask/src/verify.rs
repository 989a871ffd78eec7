//! `cargo xtask verify`: the checks that need no servers.

use std::process::Command;

use brokkr_testbed::Result;

use crate::check::{docs, house};
use crate::run::{cargo, cargo_with};

pub(crate) fn run() -> Result<()> {
    cargo("formatting", &["fmt", "--all", "--check"])?;
    // Includes `demo --kubeconfig`, which default builds omit.
    let everything = ["clippy", "--workspace", "--all-targets", "--features", "brokkr-broker/kubeconfig", "--locked"];
    cargo("lints", &[&everything[..], &["--", "-D", "warnings"]].concat())?;
    cargo_with("documentation", &["doc", "--workspace", "--no-deps", "--locked"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    house::run()?;
    docs::run()?;
    deny()
}

/// Licences, sources and banned crates.
fn deny() -> Result<()> {
    let there = Command::new("cargo").args(["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if !there {
        // Unoptimised: an optimised build takes longer than the run saves.
        let install = ["install", "cargo-deny", "--version", "^0.20", "--locked", "--debug"];
        cargo_with("cargo-deny (once)", &install, &[("CARGO_PROFILE_DEV_DEBUG", "false")])?;
    }
    cargo("dependencies", &["deny", "--all-features", "check", "bans", "licenses", "sources"])
}
