//! Programs that run as steps of a command.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use brokkr_testbed::{Error, Result};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The path of a program in `target/debug`. Does not build it.
pub(crate) fn debug(name: &str) -> PathBuf {
    built("debug", name)
}

/// The path of a program in a profile's target folder. Does not build it.
pub(crate) fn built(profile: &str, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(profile).join(name)
}

/// Runs a built program as one step. `cargo run` would rebuild it with the features of its own package alone.
pub(crate) fn program(step: &str, program: &Path, args: &[&str]) -> Result<()> {
    println!("==> {step}: {} {}", program.display(), args.join(" "));
    let began = Instant::now();
    let status = Command::new(program).args(args).current_dir(root()).status()?;
    if !status.success() {
        return Err(Error::new(format!("{step} failed; repeat it with: {} {}", program.display(), args.join(" "))));
    }
    println!("==> {step}: {} s", began.elapsed().as_secs());
    Ok(())
}

/// Runs cargo as one step. Prints the step and its duration.
pub(crate) fn cargo(step: &str, args: &[&str]) -> Result<()> {
    cargo_with(step, args, &[])
}

/// [`cargo`] with environment variables.
pub(crate) fn cargo_with(step: &str, args: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    println!("==> {step}: cargo {}", args.join(" "));
    let began = Instant::now();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Cargo sets variables about xtask for this process. Some build scripts track them, so cargo would rebuild their crates after
    // every call that does not come from xtask.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|told| name.to_string_lossy().starts_with(told)) {
            command.env_remove(name);
        }
    }
    let status = command.args(args).envs(environment.iter().copied()).current_dir(root()).status()?;
    if !status.success() {
        return Err(Error::new(format!("{step} failed; repeat it with: cargo {}", args.join(" "))));
    }
    println!("==> {step}: {} s", began.elapsed().as_secs());
    Ok(())
}
