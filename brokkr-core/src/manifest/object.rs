//! Desired Kubernetes objects.

use serde_json::{Map, Value};

use crate::model::ObjectRef;

/// One desired Kubernetes object: checked, and without the fields that only a cluster writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// The whole object as compact JSON. A parsed tree takes several times the memory and is rarely needed.
    pub(super) text: Box<str>,
}

impl Manifest {
    /// API group; empty for the core group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// API version within the group.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The namespace in the manifest. `None`: the scope of the kind and the stack's policies determine it.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole object, with `apiVersion`, `kind` and `metadata`. Each call parses the stored JSON.
    pub fn body(&self) -> Map<String, Value> {
        // This type wrote the text itself, so parsing cannot fail.
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// A reference to the object in the given namespace.
    pub fn object_ref(&self, namespace: Option<&str>) -> ObjectRef {
        ObjectRef {
            group: self.group.clone(),
            kind: self.kind.clone(),
            namespace: namespace.map(str::to_owned),
            name: self.name.clone(),
        }
    }

    /// Whether this is a `Namespace`.
    pub fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.kind == "Namespace"
    }

    /// Whether this is a `CustomResourceDefinition`.
    pub fn is_crd(&self) -> bool {
        self.group == "apiextensions.k8s.io" && self.kind == "CustomResourceDefinition"
    }
}
