//! Commands of the distribution's packages.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Error, Result, say};

/// Finds a command in `PATH`.
pub(crate) fn find(command: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(command)).find(|file| file.is_file())
}

/// Makes sure that a command is there: installs its package on Debian and its relatives, and says what to do elsewhere.
pub fn ensure_command(command: &str, package: &str) -> Result<PathBuf> {
    if let Some(found) = find(command) {
        return Ok(found);
    }
    install(package)?;
    find(command).ok_or_else(|| Error::new(format!("{command} is missing after installing {package}")))
}

pub(crate) fn install(package: &str) -> Result<()> {
    let remedy = || {
        Error::new(format!(
            "{package} is missing: install it with your package manager (Debian: apt-get install {package})"
        ))
    };
    if find("apt-get").is_none() {
        return Err(remedy());
    }
    say(&format!("installing {package}"));
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    // The lists of packages may be old or absent; only then are they fetched.
    if apt(&["install", "-y", "-q", package]) || (apt(&["update", "-q"]) && apt(&["install", "-y", "-q", package])) {
        return Ok(());
    }
    Err(remedy())
}
