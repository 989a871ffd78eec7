//! Temporary folders that are deleted after this process ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Result;

/// Waits until standard input closes, gives writers time to end, and deletes the folder.
const SWEEPER: &str = r#"trap "" INT TERM HUP; read -r _; sleep 3; rm -rf "$1""#;

/// A temporary folder. A helper process deletes it some seconds after this process ends, for whatever reason.
#[derive(Debug)]
pub struct ScratchFolder {
    path: PathBuf,
    _sweeper: Child,
}

impl ScratchFolder {
    /// Creates a folder in the system's temporary folder.
    pub fn new(purpose: &str) -> Result<Self> {
        // The deletion is delayed, so a second folder for the same purpose needs another name.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("brokkr-{purpose}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        let sweeper = Command::new("sh")
            .args(["-c", SWEEPER, "sweeper"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { path, _sweeper: sweeper })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
