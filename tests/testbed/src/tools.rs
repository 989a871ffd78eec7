//! The Kubernetes programs, built once from Go modules and cached between runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::packages::find;
use crate::{Error, Result, say};

/// The Go module that pins the versions.
pub(crate) const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kubernetes");
/// Name of the cache folder. It changes with the versions in `go.mod`.
pub(crate) const VERSION: &str = "kubernetes-1.36.3-etcd-3.7.3";
/// Lets an older Go download the toolchain that a module requires.
pub(crate) const GO_ENVIRONMENT: [(&str, &str); 2] = [("GOTOOLCHAIN", "auto"), ("GOFLAGS", "-mod=mod -buildvcs=false")];

/// Paths of kube-apiserver, kube-controller-manager, kube-scheduler, etcd and kubectl.
#[derive(Debug, Clone)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Finds the programs in the folder `KUBEBUILDER_ASSETS`, or builds them from Go modules, which takes
    /// several minutes the first time.
    pub fn ensure() -> Result<Self> {
        if let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS") {
            return Ok(Self { folder: folder.into() });
        }
        let folder = cache()?.join(VERSION);
        std::fs::create_dir_all(&folder)?;
        for (name, package) in [
            ("etcd", "go.etcd.io/etcd/server/v3"),
            ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
            ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ] {
            build(name, package, Path::new(MODULE), &folder)?;
        }
        Ok(Self { folder })
    }

    /// The path of a program.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The cache folder for built programs.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => Path::new(&home).join(".cache"),
        (None, None) => return Err(Error::new("neither XDG_CACHE_HOME nor HOME is set")),
    };
    Ok(base.join("brokkr-testbed"))
}

/// Builds a program of a Go module, unless the cache contains it.
pub(crate) fn build(name: &str, package: &str, module: &Path, folder: &Path) -> Result<()> {
    let binary = folder.join(name);
    if binary.is_file() {
        return Ok(());
    }
    if find("go").is_none() {
        return Err(Error::new(
            "cannot find go: install Go 1.21 or later (https://go.dev/dl/, Debian: apt-get install golang)",
        ));
    }
    say(&format!("building {name} from Go modules (once; takes several minutes)"));
    let began = Instant::now();
    // Build to another path and rename it, so that an interrupted build leaves no incomplete program.
    let unfinished = folder.join(format!("{name}.{}", std::process::id()));
    let output = Command::new("go")
        .args(["build", "-ldflags", "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3", "-o"])
        .arg(&unfinished)
        .arg(package)
        .current_dir(module)
        .envs(GO_ENVIRONMENT)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = said.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        return Err(Error::new(format!("go build {package} failed:\n{}", tail.join("\n"))));
    }
    std::fs::rename(&unfinished, &binary)?;
    say(&format!("{name} is ready after {} s", began.elapsed().as_secs()));
    Ok(())
}
