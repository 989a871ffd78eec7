//! What an API server wrote down about who did what.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

use serde_json::Value;

use crate::Result;

/// The requests in an audit log, from a byte on, that a user made and that change something, without dry runs.
pub fn writes_by(log: &Path, from: u64, user: &str) -> Result<Vec<Value>> {
    let mut file = BufReader::new(File::open(log)?);
    file.seek(SeekFrom::Start(from))?;
    // The name in quotes, so that one user is not taken for another whose name begins like it.
    let name = format!("\"{user}\"");
    let mut writes = Vec::new();
    for line in file.lines() {
        let line = line?;
        // Most lines are others' or reads: they are not parsed.
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
