//! The identity of an object on the API server.

use std::fmt;

use serde_json::Value;

/// One object. Every kind in the faults has version v1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) group: String,
    pub(crate) plural: String,
    /// Empty for cluster-scoped objects.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(group: &str, plural: &str, namespace: &str, name: &str) -> Self {
        let own = |text: &str| text.to_owned();
        Self { group: own(group), plural: own(plural), namespace: own(namespace), name: own(name) }
    }

    pub(crate) fn config_map(namespace: &str, name: &str) -> Self {
        Self::new("", "configmaps", namespace, name)
    }

    pub(crate) fn namespace(name: &str) -> Self {
        Self::new("", "namespaces", "", name)
    }

    /// The identity of a manifest, or of an object from an API server.
    pub(crate) fn of(manifest: &Value) -> Self {
        let text = |pointer| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
        let namespace = text("/metadata/namespace");
        Self::new(group, &plural(text("/kind")), namespace, text("/metadata/name"))
    }

    /// The object of a request in the audit log.
    pub(crate) fn audited(event: &Value) -> Self {
        let text = |field: &str| event["objectRef"][field].as_str().unwrap_or_default();
        // The audit log gives a Namespace its own name as namespace.
        let namespace = if text("resource") == "namespaces" { "" } else { text("namespace") };
        Self::new(text("apiGroup"), text("resource"), namespace, text("name"))
    }

    /// The URL path of the group.
    pub(crate) fn root(group: &str) -> String {
        if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") }
    }

    pub(crate) fn path(&self) -> String {
        let Self { group, plural, namespace, name } = self;
        let root = Self::root(group);
        if namespace.is_empty() {
            format!("{root}/{plural}/{name}")
        } else {
            format!("{root}/namespaces/{namespace}/{plural}/{name}")
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.plural, self.namespace, self.name)
    }
}

fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if kind.ends_with('s') => format!("{kind}es"),
        None => format!("{kind}s"),
    }
}
