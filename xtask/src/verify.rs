//! `cargo xtask verify`: what needs no servers.

use std::process::Command;

use brokkr_testbed::{Error, Result};

use crate::run::{cargo, cargo_with, root};

/// What the pure core must not depend on.
const IMPURE: [&str; 5] = ["sqlx", "kube", "axum", "reqwest", "hyper"];

pub(crate) fn run() -> Result<()> {
    cargo("formatting", &["fmt", "--all", "--check"])?;
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    cargo_with("documentation", &["doc", "--workspace", "--no-deps", "--locked"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    pure_core()?;
    deny()
}

/// The core depends on no database, no cluster and no network.
fn pure_core() -> Result<()> {
    println!("==> purity: cargo tree -p brokkr-core");
    let output = Command::new("cargo")
        .args(["tree", "-p", "brokkr-core", "-e", "normal", "--all-features", "--prefix", "none", "--locked"])
        .current_dir(root())
        .output()?;
    if !output.status.success() {
        return Err(Error::new(String::from_utf8_lossy(&output.stderr)));
    }
    let tree = String::from_utf8_lossy(&output.stdout);
    let impure = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .find(|name| IMPURE.iter().any(|it| name == it || name.starts_with(&format!("{it}-"))));
    match impure {
        None => Ok(()),
        Some(name) => Err(Error::new(format!("brokkr-core depends on {name}; it must stay pure"))),
    }
}

/// Licences, sources and banned crates.
fn deny() -> Result<()> {
    let there = Command::new("cargo").args(["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if !there {
        // It runs for seconds: optimising it would take longer than all that it ever saves.
        let install = ["install", "cargo-deny", "--version", "^0.20", "--locked", "--debug"];
        cargo_with("cargo-deny (once)", &install, &[("CARGO_PROFILE_DEV_DEBUG", "false")])?;
    }
    cargo("dependencies", &["deny", "--all-features", "check", "bans", "licenses", "sources"])
}
