//! `cargo xtask check reading`: manifests as the broker and kubectl read them.

use brokkr_testbed::{Error, KubectlReader, Result};

use crate::run::cargo;

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    if let Some(name) = only {
        return Err(Error::new(format!("reading has no check named {name}: it is a single check; omit --only")));
    }
    println!("==> kubectl's reader");
    KubectlReader::ensure()?;
    let words = ["test", "--locked", "--workspace", "--test", "system", "--", "--nocapture", "reading::"];
    cargo("reading", &words)
}
