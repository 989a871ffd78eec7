//! kubectl's own manifest reader, built from the same Go module as the other programs.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::tools::{MODULE, VERSION, build, cache};
use crate::{Error, Result};

/// The result for one file: the objects that `kubectl apply --server-side` sends, or its error.
pub type Sent = std::result::Result<Vec<Value>, String>;

/// The program that reads files as kubectl does.
#[derive(Debug, Clone)]
pub struct KubectlReader {
    program: PathBuf,
}

impl KubectlReader {
    /// Builds the program, unless the cache contains it. Its name contains a hash of its source.
    pub fn ensure() -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        (include_str!("../kubernetes/oracle/main.go"), include_str!("../kubernetes/go.mod")).hash(&mut hasher);
        let name = format!("reading-oracle-{:016x}", hasher.finish());
        let folder = cache()?.join(VERSION);
        std::fs::create_dir_all(&folder)?;
        build(&name, "./oracle", Path::new(MODULE), &folder)?;
        Ok(Self { program: folder.join(name) })
    }

    /// Returns the objects that kubectl sends for each file.
    pub fn ask<'a>(&self, files: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Sent>> {
        let input: String = files.into_iter().map(|file| STANDARD.encode(file) + "\n").collect();
        let child = Command::new(&self.program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut child = KilledOnDrop(child);
        let (stdin, stdout) = (child.0.stdin.take(), child.0.stdout.take());
        let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(Error::new("cannot open the pipes of kubectl's reader"));
        };
        // The program answers while it still reads input, so write from another thread.
        let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let mut results = Vec::new();
        for line in BufReader::new(stdout).lines() {
            results.push(sent(serde_json::from_str(&line?).map_err(|error| Error::new(error.to_string()))?)?);
        }
        writing.join().map_err(|_| Error::new("cannot write to kubectl's reader"))??;
        if !child.0.wait()?.success() {
            return Err(Error::new("kubectl's reader exited with an error"));
        }
        Ok(results)
    }
}

/// The result in one line of output.
fn sent(mut line: Value) -> Result<Sent> {
    match (line["error"].take(), line["objects"].take()) {
        (Value::Null, Value::Array(objects)) => Ok(Ok(objects)),
        (Value::String(error), _) if !error.is_empty() => Ok(Err(error)),
        (error, objects) => {
            Err(Error::new(format!("kubectl's reader printed neither objects nor an error: {objects} {error}")))
        }
    }
}

/// A child process that ends with this value, also on an early return.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
