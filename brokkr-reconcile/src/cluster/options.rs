//! Parameters of cluster operations.

use serde_json::Value;

/// Parameters of a list or watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Label selector that the objects must match, such as `app=web,tier`. Default: empty, which selects all objects.
    pub label_selector: String,
    /// Whether to request only the metadata of objects. Default: false.
    pub metadata_only: bool,
    /// Maximum number of objects in a list. Default: `None`, which means all. Ignored by a watch.
    pub limit: Option<u32>,
}

/// Parameters of a server-side apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyOptions<'a> {
    /// The field manager, which owns the applied fields.
    pub field_manager: &'a str,
    /// Whether to take over fields that other managers own.
    pub force: bool,
    /// Whether to validate only, and persist nothing.
    pub dry_run: bool,
}

/// A patch and its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// JSON Merge Patch (RFC 7396).
    Merge(Value),
}

/// How a deletion treats the object's dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropagationPolicy {
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
    pub propagation: PropagationPolicy,
}
