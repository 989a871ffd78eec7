//! Parameters and results of cluster operations.

use serde_json::Value;

/// Parameters of a list or watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Label selector that the objects must match, such as `app=web,tier`. Default: empty, which selects all objects.
    pub label_selector: String,
    /// Whether to request only the metadata of objects. Default: false.
    pub metadata_only: bool,
    /// Maximum number of objects. Default: `None`, which means all.
    pub limit: Option<u32>,
}

/// The result of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectList {
    /// The objects, in the order of the server.
    pub items: Vec<Value>,
    /// The resource version to start a watch from.
    pub resource_version: String,
    /// Whether the list ended at `limit` and more objects may exist. May be true for a complete list, because a server
    /// that filters does not always know.
    pub truncated: bool,
}

/// The result of [`Cluster::list_each`](crate::cluster::Cluster::list_each), without the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The resource version to start a watch from.
    pub resource_version: String,
    /// Whether the list ended at `limit` and more objects may exist. May be true for a complete list, because a server
    /// that filters does not always know.
    pub truncated: bool,
}

/// Parameters of a server-side apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyOptions<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// Whether to take over fields that other managers own.
    pub force: bool,
    /// Whether to validate only, and persist nothing.
    pub dry_run: bool,
}

/// The result of a server-side apply.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyOutcome {
    /// The object after the call.
    pub object: Value,
    /// Whether the call created the object.
    pub created: bool,
}

/// A patch and its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// JSON Merge Patch (RFC 7396).
    Merge(Value),
}

/// How a deletion treats the object's dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// The garbage collector deletes the dependents after the object.
    Background,
    /// The garbage collector deletes the dependents before the object.
    Foreground,
    /// The dependents stay.
    Orphan,
}

/// Parameters of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteOptions<'a> {
    /// Precondition: the UID of the object.
    pub uid: &'a str,
    /// Precondition: the resource version of the object. `None` accepts any version.
    pub resource_version: Option<&'a str>,
    /// How to treat the dependents.
    pub propagation: Propagation,
}

/// An event of a watch.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// The object was created or changed. Contains its new state.
    Applied(Value),
    /// The object was deleted. Contains its last state.
    Deleted(Value),
    /// The watch has delivered all events up to this resource version.
    Bookmark(String),
}
