//! The workspace's Rust files, parsed.

use std::fs;
use std::path::{Path, PathBuf};

use brokkr_testbed::{Error, Result};

use crate::run::root;

/// Folders to read: every crate of the workspace.
const ROOTS: [&str; 14] = [
    "brokkr/src",
    "brokkr-core/src",
    "brokkr-control/src",
    "brokkr-reconcile/src",
    "brokkr-store-postgres/src",
    "brokkr-agent-runtime/src",
    "brokkr-http/src",
    "examples",
    "tests/docs",
    "tests/system",
    "tests/faults",
    "tests/testbed",
    "benches/src",
    "xtask/src",
];

/// One source file.
pub(super) struct Source {
    /// Path relative to the workspace.
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) syntax: syn::File,
}

/// Reads every file, sorted by path.
pub(super) struct Sources(pub(super) Vec<Source>);

impl Sources {
    pub(super) fn read() -> Result<Self> {
        let mut paths = Vec::new();
        for folder in ROOTS {
            collect(&root().join(folder), &mut paths)?;
        }
        paths.sort();
        let sources = paths.into_iter().map(|path| {
            let text = fs::read_to_string(&path)?;
            let syntax = syn::parse_file(&text).map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
            let path = path.strip_prefix(root()).map_or(path.clone(), Path::to_path_buf);
            Ok(Source { path, text, syntax })
        });
        sources.collect::<Result<_>>().map(Self)
    }

    /// The source folders of libraries and binaries, each the root of a module tree.
    pub(super) fn crates(&self) -> Vec<&Path> {
        let is_root =
            |source: &&Source| source.path.file_name().is_some_and(|name| name == "lib.rs" || name == "main.rs");
        self.0.iter().filter(is_root).filter_map(|source| source.path.parent()).collect()
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|error| Error::new(format!("{}: {error}", folder.display())))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "node_modules" && name != "target") {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|it| it == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}
