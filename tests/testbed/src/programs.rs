//! The project's own programs.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Finds a program of the same build: in the folder of the running program, or in its parent for tests in `deps`.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    let found = folders.map(|folder: &Path| folder.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| {
        Error::new(format!("{name} is missing beside {}: build it with cargo build --workspace --bins", own.display()))
    })
}
