//! Commands from packages of the Linux distribution.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Error, Result, say};

/// Finds a command in `PATH`.
pub(crate) fn find(command: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(command)).find(|file| file.is_file())
}

/// Finds a command, or installs its package on Debian and its derivatives. On other systems, the error names the package.
pub fn ensure_command(command: &str, package: &str) -> Result<PathBuf> {
    if let Some(found) = find(command) {
        return Ok(found);
    }
    install(package)?;
    find(command).ok_or_else(|| Error::new(format!("cannot find {command} after the installation of {package}")))
}

pub(crate) fn install(package: &str) -> Result<()> {
    let remedy = || {
        Error::new(format!(
            "cannot find {package}: install it with your package manager (Debian: apt-get install {package})"
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
    // Update the package lists only if the installation fails: they may be old or absent.
    if apt(&["install", "-y", "-q", package]) || (apt(&["update", "-q"]) && apt(&["install", "-y", "-q", package])) {
        return Ok(());
    }
    Err(remedy())
}
