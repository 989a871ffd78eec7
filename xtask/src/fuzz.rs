//! `cargo xtask fuzz`: random inputs for what strangers send, guided by coverage.

use std::process::{Command, Stdio};

use brokkr_testbed::{Error, Result};
use clap::Args;

use crate::run::{program, root};

/// The targets of `fuzz/Cargo.toml`.
const TARGETS: [&str; 6] = ["key", "manifests", "json", "cursor", "selector", "head"];
const INSTALL: &str = "rustup toolchain install nightly --profile minimal && cargo install --locked cargo-fuzz";

#[derive(Args)]
pub(crate) struct FuzzArgs {
    /// Only this target.
    target: Option<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Maximum bytes of an input.
    #[arg(long, default_value_t = 4096)]
    bytes: u64,
}

pub(crate) fn run(args: &FuzzArgs) -> Result<()> {
    let only = args.target.as_deref();
    if let Some(name) = only.filter(|name| !TARGETS.contains(name)) {
        return Err(Error::new(format!("no target named {name}; known targets: {}", TARGETS.join(", "))));
    }
    let has = |words: &[&str]| {
        let tried = Command::new("cargo").args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    if !has(&["+nightly", "--version"]) || !has(&["+nightly", "fuzz", "--version"]) {
        return Err(Error::new(format!(
            "fuzzing needs cargo-fuzz and a nightly toolchain; install them with: {INSTALL}"
        )));
    }
    let fuzz = root().join("fuzz");
    let seconds = format!("-max_total_time={}", args.seconds);
    let bytes = format!("-max_len={}", args.bytes);
    for target in TARGETS.into_iter().filter(|target| only.is_none_or(|only| only == *target)) {
        // New inputs go to the first folder, which git ignores; the committed corpus is only read.
        let found = fuzz.join("target/corpus").join(target);
        std::fs::create_dir_all(&found)?;
        let (found, corpus) = (found.display().to_string(), fuzz.join("corpus").join(target).display().to_string());
        let words = ["+nightly", "fuzz", "run", "--sanitizer", "none", target, &found, &corpus, "--"];
        let words: Vec<&str> =
            words.into_iter().chain([&*seconds, &*bytes, "-print_final_stats=1", "-timeout=20"]).collect();
        program(&format!("fuzz {target}"), std::path::Path::new("cargo"), &words)?;
    }
    Ok(())
}
