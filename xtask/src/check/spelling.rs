//! `cargo xtask check spelling`: misspelled words in all files of the project.

use brokkr_testbed::{Result, python_venv};

use crate::run::{program, root};

pub(crate) fn run() -> Result<()> {
    let bin = python_venv("spelling", &root().join("xtask/requirements.txt"))?;
    program("spelling", &bin.join("typos"), &["--format", "brief"])
}
