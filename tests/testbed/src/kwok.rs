//! kwok, which simulates kubelets: built once from its Go module and cached between runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tools::{GO_ENVIRONMENT, build, cache};
use crate::{Error, Result};

/// The Go module that pins the version. It is separate from that of Kubernetes, because their dependencies conflict.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kwok");
/// Name of the cache folder. It changes with the version in `go.mod`.
const VERSION: &str = "kwok-0.8.0";
/// The stages of kwok's module that the tests use.
const STAGES: [&str; 5] = [
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
];

/// The program and its stages.
#[derive(Debug, Clone)]
pub struct Kwok {
    folder: PathBuf,
}

impl Kwok {
    /// Finds kwok in the cache, or builds it from its Go module, which takes about a minute.
    pub fn ensure() -> Result<Self> {
        let folder = cache()?.join(VERSION);
        std::fs::create_dir_all(&folder)?;
        build("kwok", "sigs.k8s.io/kwok/cmd/kwok", Path::new(MODULE), &folder)?;
        let kwok = Self { folder };
        if kwok.stages().iter().any(|it| !it.is_file()) {
            kwok.copy_stages()?;
        }
        Ok(kwok)
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("kwok")
    }

    pub(crate) fn stages(&self) -> Vec<PathBuf> {
        STAGES.iter().filter_map(|it| Some(self.folder.join(Path::new(it).file_name()?))).collect()
    }

    /// Copies the stages beside the program, because Go's module cache may be emptied at any time.
    fn copy_stages(&self) -> Result<()> {
        let go = |args: &[&str]| -> Result<String> {
            let output =
                Command::new("go").args(args).current_dir(MODULE).envs(GO_ENVIRONMENT).stdin(Stdio::null()).output()?;
            if output.status.success() {
                return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
            }
            Err(Error::new(format!("go {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim())))
        };
        go(&["mod", "download", "sigs.k8s.io/kwok"])?;
        let module = PathBuf::from(go(&["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"])?);
        for (stage, kept) in STAGES.iter().zip(self.stages()) {
            // Write instead of copy: files in Go's cache are read-only.
            std::fs::write(kept, std::fs::read(module.join("kustomize/stage").join(stage))?)?;
        }
        Ok(())
    }
}
