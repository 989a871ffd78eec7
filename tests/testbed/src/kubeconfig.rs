//! Kubeconfig files.

use std::path::Path;

use crate::Result;

/// Writes a kubeconfig with one context per cluster. Each context has the name of its cluster.
pub(crate) fn write_kubeconfig(file: &Path, clusters: &[(&str, &str)], token: &str) -> Result<()> {
    let named = |name: &str, key: &str, value: serde_json::Value| serde_json::json!({"name": name, key: value});
    let document = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": clusters.first().map(|it| it.0),
        "clusters": clusters.iter().map(|(name, url)| named(name, "cluster", serde_json::json!({"server": url, "insecure-skip-tls-verify": true}))).collect::<Vec<_>>(),
        "users": [named("user", "user", serde_json::json!({"token": token}))],
        "contexts": clusters.iter().map(|(name, _)| named(name, "context", serde_json::json!({"cluster": name, "user": "user"}))).collect::<Vec<_>>(),
    });
    Ok(std::fs::write(file, document.to_string())?)
}
