//! Folders that do not outlive this process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Result;

/// Waits for the end of its standard input, lets those who still write end, and removes the folder.
const SWEEPER: &str = r#"trap "" INT TERM HUP; read -r _; sleep 3; rm -rf "$1""#;

/// A folder for what is thrown away. It goes some seconds after this process ended, in whatever way.
#[derive(Debug)]
pub struct ScratchFolder {
    path: PathBuf,
    _sweeper: Child,
}

impl ScratchFolder {
    /// A new folder among the system's temporary ones.
    pub fn new(purpose: &str) -> Result<Self> {
        // One goes some seconds after it is let go: the next one of the same purpose is another.
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
