//! Kinds as a server serves them, and the keys of objects.

use brokkr_core::model::ObjectRef;

/// A kind as a server serves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKind {
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name in paths.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether its objects can be listed and deleted one by one, as real objects can and views cannot.
    pub listable: bool,
}

impl ApiKind {
    /// A kind in version `v1` of a group, with objects that can be listed: one that every server has, known without asking.
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

    /// `group/version`, or the version alone for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The key of an object of this kind. The namespace is left out for kinds without.
    pub fn at<'a>(&'a self, namespace: Option<&'a str>, name: &'a str) -> ObjectKey<'a> {
        ObjectKey { kind: self, namespace: namespace.filter(|_| self.namespaced), name }
    }
}

/// Which object: its kind in one version, its namespace and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectKey<'a> {
    /// Its kind.
    pub kind: &'a ApiKind,
    /// Its namespace; absent for kinds without.
    pub namespace: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
}

impl ObjectKey<'_> {
    /// The object's identity.
    pub fn object_ref(&self) -> ObjectRef {
        ObjectRef {
            group: self.kind.group.clone(),
            kind: self.kind.kind.clone(),
            namespace: self.namespace.map(str::to_owned),
            name: self.name.to_owned(),
        }
    }
}
