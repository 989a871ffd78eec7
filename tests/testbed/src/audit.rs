//! The audit log of an API server.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

use serde_json::Value;

use crate::Result;

/// A user's write requests in an audit log from the byte `from` on, without dry runs.
pub fn writes_by(log: &Path, from: u64, user: &str) -> Result<Vec<Value>> {
    let mut file = BufReader::new(File::open(log)?);
    file.seek(SeekFrom::Start(from))?;
    // With quotes, so that a user's name does not match a longer one.
    let name = format!("\"{user}\"");
    let mut writes = Vec::new();
    for line in file.lines() {
        let line = line?;
        // Skip the parser for most lines: they are reads, or of other users.
        if line.contains(&name)
            && let Ok(event) = serde_json::from_str::<Value>(&line)
            && event["user"]["username"] == user
            && is_write(&event)
        {
            writes.push(event);
        }
    }
    Ok(writes)
}

fn is_write(event: &Value) -> bool {
    matches!(event["verb"].as_str(), Some("create" | "update" | "patch" | "delete" | "deletecollection"))
        && !event["requestURI"].as_str().unwrap_or_default().contains("dryRun=All")
}
