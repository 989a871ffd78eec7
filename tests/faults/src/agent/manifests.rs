//! The manifests of the faults.

use serde_json::{Value, json};

pub(crate) fn config_map(namespace: &str, name: &str, value: impl std::fmt::Display) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": {"k": value.to_string()}})
}

/// ConfigMaps `<prefix>0`, `<prefix>1` and so on, all with one value.
pub(crate) fn config_maps(
    namespace: &str,
    prefix: &str,
    numbers: std::ops::Range<u64>,
    value: impl std::fmt::Display,
) -> Vec<Value> {
    numbers.map(|number| config_map(namespace, &format!("{prefix}{number}"), &value)).collect()
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// The definition of a namespaced kind that takes anything.
pub(crate) fn definition(group: &str, kind: &str) -> Value {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": singular},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    })
}

pub(crate) fn custom(group: &str, kind: &str, namespace: &str, name: &str, value: &str) -> Value {
    json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": {"k": value}})
}

/// Adds a label to a manifest.
pub(crate) fn labelled(mut manifest: Value, key: &str, value: &str) -> Value {
    manifest["metadata"]["labels"] = json!({key: value});
    manifest
}

/// Whether an object has every value of a manifest.
pub(crate) fn holds(object: &Value, manifest: &Value) -> bool {
    match (object, manifest) {
        (Value::Object(object), Value::Object(manifest)) => {
            manifest.iter().all(|(key, wanted)| object.get(key).is_some_and(|there| holds(there, wanted)))
        }
        (Value::Array(object), Value::Array(manifest)) => {
            object.len() == manifest.len() && object.iter().zip(manifest).all(|(there, wanted)| holds(there, wanted))
        }
        _ => object == manifest,
    }
}
