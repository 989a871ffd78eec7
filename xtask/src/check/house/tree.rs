//! Crates that must not be in the dependency tree of another one.

use std::process::Command;

use brokkr_testbed::{Error, Result};

use super::Finding;
use crate::run::root;

/// A crate with features, and the crates that must not be in its tree.
struct Bound {
    name: &'static str,
    package: &'static [&'static str],
    without: &'static [&'static str],
}

const BOUNDS: [Bound; 3] = [
    Bound {
        name: "core-tree-without",
        package: &["brokkr-core", "--all-features"],
        without: &["sqlx", "kube", "axum", "reqwest", "hyper", "moka", "jsonschema"],
    },
    Bound { name: "agent-tree-without", package: &["brokkr-agent"], without: &["moka", "jsonschema", "schemars"] },
    Bound {
        name: "http-client-tree-without",
        package: &["brokkr-http", "--features", "client"],
        without: &["brokkr-control", "axum"],
    },
];

pub(super) fn all() -> Result<Vec<Finding>> {
    BOUNDS.iter().map(check).collect()
}

fn check(bound: &Bound) -> Result<Finding> {
    let output = Command::new("cargo")
        .args(["tree", "-e", "normal", "--prefix", "none", "--locked", "-p"])
        .args(bound.package)
        .current_dir(root())
        .output()?;
    if !output.status.success() {
        return Err(Error::new(String::from_utf8_lossy(&output.stderr)));
    }
    let tree = String::from_utf8_lossy(&output.stdout);
    let names = || tree.lines().filter_map(|line| line.split(' ').next());
    let is = |name: &str, it: &str| name == it || name.starts_with(&format!("{it}-"));
    let there = bound.without.iter().filter(|it| names().any(|name| is(name, it)));
    let wrong: Vec<String> = there
        .map(|it| {
            format!(
                "{} depends on {it}; find the path with `cargo tree -p {} -i {it}`",
                bound.package[0], bound.package[0]
            )
        })
        .collect();
    let figure =
        format!("{}/{} ({})", bound.without.len() - wrong.len(), bound.without.len(), bound.without.join(", "));
    Ok(Finding { name: bound.name, figure, wrong })
}
