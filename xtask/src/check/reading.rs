//! `cargo xtask check reading`.

use brokkr_testbed::{Error, Oracle, Result};

use crate::run::cargo;

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    if let Some(name) = only {
        return Err(Error::new(format!("reading has no check named {name}: it is one; leave --only out")));
    }
    println!("==> kubectl's reader");
    Oracle::ensure()?;
    let words = ["test", "--locked", "--workspace", "--test", "system", "--", "--nocapture", "reading::"];
    cargo("reading", &words)
}
