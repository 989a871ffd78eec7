//! Sets of fields, parsed from `managedFields`.
//!
//! See <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management> for the format: a tree
//! whose keys are `f:<field>`, `k:<key fields as JSON>`, `v:<value as JSON>`, `i:<index>` and `.` for the node itself.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A set of field paths, in the notation of the server's conflict messages: `.spec.replicas`,
/// `.spec.containers[name="web"].image`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet(BTreeSet<String>);

impl FieldSet {
    /// Parses a `fieldsV1` tree. Skips keys of an unknown form.
    pub fn from_fields_v1(tree: &Value) -> Self {
        let mut paths = BTreeSet::new();
        // Iterative, because other clients control how deep the tree nests.
        let mut open = vec![(tree, String::new())];
        while let Some((node, path)) = open.pop() {
            let Some(map) = node.as_object() else {
                continue;
            };
            if map.is_empty() && !path.is_empty() {
                paths.insert(path);
                continue;
            }
            for (key, child) in map {
                if key == "." {
                    paths.insert(path.clone());
                } else if let Some(element) = element(key) {
                    open.push((child, format!("{path}{element}")));
                }
            }
        }
        Self(paths)
    }

    /// Returns the paths in sorted order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether the set contains a path.
    pub fn contains(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// Whether the set contains no path.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Converts one key of the tree to the server's path notation.
fn element(key: &str) -> Option<String> {
    let (kind, rest) = key.split_once(':')?;
    match kind {
        "f" => Some(format!(".{rest}")),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).ok()?;
            let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
            Some(format!("[{}]", keys.join(",")))
        }
        "v" => Some(format!("[={rest}]")),
        "i" => Some(format!("[{rest}]")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_match_server_conflicts() {
        let set = FieldSet::from_fields_v1(&json!({
            "f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/name": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {"f:name": {}}},
                "f:finalizers": {"v:\"x\": {}": {}, "v:\"a\"": {}},
            },
        }));
        for path in [
            ".metadata.labels",
            ".metadata.labels.app.kubernetes.io/name",
            ".spec.replicas",
            ".spec.containers[name=\"web\"]",
            ".spec.containers[name=\"web\"].image",
            ".spec.ports[containerPort=80,protocol=\"TCP\"].name",
            ".spec.finalizers[=\"a\"]",
        ] {
            assert!(set.contains(path), "{path} in {set:?}");
        }
    }
}
