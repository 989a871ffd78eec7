//! Running programs as steps.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use brokkr_testbed::{Error, Result};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A program that was built before, without optimisation.
pub(crate) fn debug(name: &str) -> PathBuf {
    built("debug", name)
}

/// A program that was built before.
pub(crate) fn built(profile: &str, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(profile).join(name)
}

/// Runs a program that was built before as one step. `cargo run` would build it anew, with the features that it alone needs.
pub(crate) fn program(step: &str, program: &Path, args: &[&str]) -> Result<()> {
    println!("==> {step}: {} {}", program.display(), args.join(" "));
    let began = Instant::now();
    let status = Command::new(program).args(args).current_dir(root()).status()?;
    if !status.success() {
        return Err(Error::new(format!("{step} failed; to repeat it alone: {} {}", program.display(), args.join(" "))));
    }
    println!("==> {step}: {} s", began.elapsed().as_secs());
    Ok(())
}

/// Runs cargo as one step; says what it does and how long it took.
pub(crate) fn cargo(step: &str, args: &[&str]) -> Result<()> {
    cargo_with(step, args, &[])
}

/// The same with variables in the environment.
pub(crate) fn cargo_with(step: &str, args: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    println!("==> {step}: cargo {}", args.join(" "));
    let began = Instant::now();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo tells about this program is nothing to others; some look at it, and would be built anew whenever cargo was called
    // without this program before.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|told| name.to_string_lossy().starts_with(told)) {
            command.env_remove(name);
        }
    }
    let status = command.args(args).envs(environment.iter().copied()).current_dir(root()).status()?;
    if !status.success() {
        return Err(Error::new(format!("{step} failed; to repeat it alone: cargo {}", args.join(" "))));
    }
    println!("==> {step}: {} s", began.elapsed().as_secs());
    Ok(())
}
