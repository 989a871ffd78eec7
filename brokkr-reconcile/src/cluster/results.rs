//! Results of cluster operations, and the events of a watch.

use serde_json::Value;

/// The metadata of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMeta {
    /// The resource version to start a watch from.
    pub resource_version: String,
    /// Whether the list ended at `limit` and more objects may exist. False means that the list is complete. True may also
    /// mean that, because a server that filters does not always know.
    pub truncated: bool,
}

/// The result of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectList {
    /// The objects, in the order of the server. It need not be sorted.
    pub items: Vec<Value>,
    /// The metadata of the list.
    pub meta: ListMeta,
}

/// The result of a server-side apply.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyOutcome {
    /// The object after the call.
    pub object: Value,
    /// Whether the call created the object.
    pub created: bool,
}

/// An event of a watch.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// The object was created or changed. Contains its new state.
    Changed(Value),
    /// The object was deleted. Contains its last state.
    Deleted(Value),
    /// The watch has delivered all events up to this resource version.
    Bookmark(String),
}
