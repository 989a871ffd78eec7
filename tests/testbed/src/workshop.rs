//! Programs from PyPI and npm at pinned versions, cached between runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::packages::{find, install};
use crate::tools::cache;
use crate::{Error, Result, ensure_command, say};

/// Creates a Python virtual environment with the packages of a requirements file. Returns its `bin` folder.
pub fn python_venv(name: &str, requirements: &Path) -> Result<PathBuf> {
    let folder = cache()?.join(name);
    let bin = folder.join("bin");
    if is_ready(&folder, requirements)? {
        return Ok(bin);
    }
    ensure_command("python3", "python3")?;
    // On Debian, venv is a separate package.
    if !succeeds(Command::new("python3").args(["-c", "import ensurepip"])) {
        install("python3-venv")?;
    }
    say(&format!("installing {} (once)", requirements.display()));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(bin.join("pip")).args(["install", "--quiet", "--requirement"]).arg(requirements))?;
    finish(&folder, requirements)?;
    Ok(bin)
}

/// Copies the sources, which include `package.json` and `package-lock.json`, into a folder, and installs the packages of the lock file.
pub fn node_modules(name: &str, sources: &Path) -> Result<PathBuf> {
    let folder = cache()?.join(name);
    let lock = sources.join("package-lock.json");
    let ready = is_ready(&folder, &lock)?;
    std::fs::create_dir_all(&folder)?;
    for entry in std::fs::read_dir(sources)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    if !ready {
        ensure_command("node", "nodejs")?;
        ensure_command("npm", "npm")?;
        say(&format!("installing {} (once)", lock.display()));
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
        finish(&folder, &lock)?;
    }
    Ok(folder)
}

/// A marker file beside the packages names the last complete installation.
const INSTALLED: &str = "installed";

fn is_ready(folder: &Path, pins: &Path) -> Result<bool> {
    let wanted = std::fs::read(pins)?;
    Ok(std::fs::read(folder.join(INSTALLED)).is_ok_and(|installed| installed == wanted))
}

fn finish(folder: &Path, pins: &Path) -> Result<()> {
    std::fs::copy(pins, folder.join(INSTALLED))?;
    Ok(())
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    if find(&program).is_none() && !Path::new(&program).is_file() {
        return Err(Error::new(format!("cannot find {program}: install it with your package manager")));
    }
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let tail: Vec<&str> = said.lines().rev().take(20).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(Error::new(format!("{program} failed:\n{}", tail.join("\n"))))
}
