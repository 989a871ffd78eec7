//! Kinds of the Kubernetes API, and object keys.

use brokkr_core::model::ObjectRef;

/// A kind that an API server serves, in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKind {
    /// API group, such as `apps`. Empty for the core group.
    pub group: String,
    /// API version, such as `v1`.
    pub version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Name of the resource in URL paths, such as `deployments`.
    pub plural: String,
    /// Whether the kind is namespaced.
    pub namespaced: bool,
    /// Whether objects of the kind can be listed and deleted individually. False for virtual resources such as reviews.
    pub listable: bool,
}

impl ApiKind {
    /// Returns a listable kind in version `v1` of a group, without discovery. Use it for kinds that every API server has.
    pub fn v1(group: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        Self {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
            listable: true,
        }
    }

    /// Returns the `apiVersion`: `group/version`, or only the version for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Returns the key of an object of this kind. Ignores the namespace if the kind is cluster-scoped.
    pub fn at<'a>(&'a self, namespace: Option<&'a str>, name: &'a str) -> ObjectKey<'a> {
        ObjectKey { kind: self, namespace: namespace.filter(|_| self.namespaced), name }
    }
}

/// The key of an object: kind in one version, namespace, and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectKey<'a> {
    /// Kind and API version.
    pub kind: &'a ApiKind,
    /// Absent for cluster-scoped kinds.
    pub namespace: Option<&'a str>,
    /// `metadata.name`.
    pub name: &'a str,
}

impl ObjectKey<'_> {
    /// Returns the object's identity, which does not depend on the API version.
    pub fn object_ref(&self) -> ObjectRef {
        ObjectRef {
            group: self.kind.group.clone(),
            kind: self.kind.kind.clone(),
            namespace: self.namespace.map(str::to_owned),
            name: self.name.to_owned(),
        }
    }
}
