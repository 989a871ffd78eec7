//! The project's own programs.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A program of the same build as the running one: beside it, or beside its folder `deps` where tests are.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    let found = folders.map(|folder: &Path| folder.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| {
        Error::new(format!(
            "{name} is missing beside {}: cargo build -p brokkr-broker -p brokkr-agent (cargo xtask does)",
            own.display()
        ))
    })
}
