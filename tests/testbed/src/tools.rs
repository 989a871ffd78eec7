//! The programs of Kubernetes, built once from Go modules and kept between runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::packages::find;
use crate::{Error, Result, say};

/// Where the module that pins the versions is.
pub(crate) const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kubernetes");
/// The name of the folder with the binaries; changes with the versions in `go.mod`.
pub(crate) const VERSION: &str = "kubernetes-1.36.3-etcd-3.7.3";
/// An older Go fetches the toolchain that a module names.
pub(crate) const GO_ENVIRONMENT: [(&str, &str); 2] = [("GOTOOLCHAIN", "auto"), ("GOFLAGS", "-mod=mod -buildvcs=false")];

/// Paths of kube-apiserver, kube-controller-manager, kube-scheduler, etcd and kubectl.
#[derive(Debug, Clone)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Finds the programs: in the folder that `KUBEBUILDER_ASSETS` names, or built from Go modules, which takes
    /// some minutes the first time.
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

    /// The path of one of them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Where what is built is kept.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => Path::new(&home).join(".cache"),
        (None, None) => return Err(Error::new("neither XDG_CACHE_HOME nor HOME is set")),
    };
    Ok(base.join("brokkr-testbed"))
}

/// Builds a program of a Go module, unless it is there already.
pub(crate) fn build(name: &str, package: &str, module: &Path, folder: &Path) -> Result<()> {
    let binary = folder.join(name);
    if binary.is_file() {
        return Ok(());
    }
    if find("go").is_none() {
        return Err(Error::new(
            "go is missing: install Go 1.21 or later (https://go.dev/dl/, Debian: apt-get install golang)",
        ));
    }
    say(&format!("building {name} from Go modules (once; some minutes)"));
    let began = Instant::now();
    // Built beside its place and moved there whole: a build that is cut off leaves nothing that looks ready.
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
