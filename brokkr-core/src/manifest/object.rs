//! One Kubernetes object as somebody wants it.

use serde_json::{Map, Value};

use crate::model::ObjectRef;

/// One Kubernetes object as somebody wants it: checked, and without what only a cluster may write.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// The whole object as compact JSON: a tree takes several times the memory, and is rarely looked at.
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

    /// The namespace as it is written; what is not written is decided by scope and policy.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole object, with `apiVersion`, `kind` and `metadata`. It is read from its text by each call.
    pub fn body(&self) -> Map<String, Value> {
        // Written by ourselves from a tree, so it can be read.
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The object's identity, given the namespace that it goes to.
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
