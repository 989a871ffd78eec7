//! Arguments and results of a cluster's operations.

use serde_json::Value;

/// How to list or watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Only objects whose labels match this selector, such as `app=web,tier`. Empty by default: all objects.
    pub label_selector: String,
    /// Whether the metadata is enough.
    pub metadata_only: bool,
    /// Objects at the most; `None` for all.
    pub limit: Option<u32>,
}

/// A list.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectList {
    /// The objects.
    pub items: Vec<Value>,
    /// From where to watch.
    pub resource_version: String,
    /// Whether the list ended at `limit` and there may be more objects; a server that filters does not always know.
    pub truncated: bool,
}

/// What there is to say of a list when its objects were handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// From where to watch.
    pub resource_version: String,
    /// Whether the list ended at `limit` and there may be more objects; a server that filters does not always know.
    pub truncated: bool,
}

/// How to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyOptions<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// Whether to take fields over from other managers.
    pub force: bool,
    /// Whether to try only.
    pub dry_run: bool,
}

/// What an apply led to.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyOutcome {
    /// The object as it is now.
    pub object: Value,
    /// Whether the call brought it into being.
    pub created: bool,
}

/// A patch.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// JSON Merge Patch (RFC 7396).
    Merge(Value),
}

/// What becomes of an object's dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards.
    Background,
    /// They are deleted before.
    Foreground,
    /// They stay.
    Orphan,
}

/// How to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteOptions<'a> {
    /// Only the object with this UID.
    pub uid: &'a str,
    /// Only in this version.
    pub resource_version: Option<&'a str>,
    /// What becomes of its dependents.
    pub propagation: Propagation,
}

/// Something happened to an object.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// It came or changed; the object as it is now.
    Applied(Value),
    /// It is gone; the object as it was last.
    Deleted(Value),
    /// Nothing happened until this resource version.
    Bookmark(String),
}
