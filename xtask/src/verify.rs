//! `cargo xtask verify`: the checks that need no servers.

use std::process::Command;

use brokkr_testbed::Result;

use crate::check::{docs, house, spelling};
use crate::run::{cargo, cargo_with};

/// The crates that hosts depend on. The agent runtime's only feature needs a version of Kubernetes, which the host selects;
/// the feature `agent` of the facade is that combination.
const LIBRARIES: [&str; 6] =
    ["brokkr", "brokkr-core", "brokkr-control", "brokkr-reconcile", "brokkr-store-postgres", "brokkr-http"];

pub(crate) fn run() -> Result<()> {
    cargo("formatting", &["fmt", "--all", "--check"])?;
    // Includes `demo --kubeconfig`, which default builds omit.
    let everything = ["clippy", "--workspace", "--all-targets", "--features", "brokkr-broker/kubeconfig", "--locked"];
    cargo("lints", &[&everything[..], &["--", "-D", "warnings"]].concat())?;
    cargo_with("documentation", &["doc", "--workspace", "--no-deps", "--locked"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    features()?;
    house::run()?;
    spelling::run()?;
    docs::run()?;
    deny()
}

/// The libraries with no feature, each feature alone, and all of them.
fn features() -> Result<()> {
    ensure_installed("cargo-hack", "^0.6", &["hack", "--version"])?;
    let mut args = vec!["hack", "check", "--lib", "--locked", "--each-feature"];
    for library in LIBRARIES {
        args.extend(["--package", library]);
    }
    // A warning in one combination, such as code that it does not use, is an error.
    cargo_with("feature combinations", &args, &[("CARGO_BUILD_WARNINGS", "deny")])
}

/// Licences, sources and banned crates.
fn deny() -> Result<()> {
    ensure_installed("cargo-deny", "^0.20", &["deny", "--version"])?;
    cargo("dependencies", &["deny", "--all-features", "check", "bans", "licenses", "sources"])
}

/// Installs a subcommand of cargo, unless it is there.
fn ensure_installed(name: &str, version: &str, ask: &[&str]) -> Result<()> {
    if Command::new("cargo").args(ask).output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    // Unoptimised: an optimised build takes longer than the run saves.
    let install = ["install", name, "--version", version, "--locked", "--debug"];
    cargo_with(&format!("{name} (once)"), &install, &[("CARGO_PROFILE_DEV_DEBUG", "false")])
}
