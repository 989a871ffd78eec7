//! Accessors for the metadata of an object.

use serde_json::{Map, Value};

use crate::cluster::FieldSet;

fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get("metadata")?.get(field)?.as_str()
}

/// Returns `metadata.uid`.
pub fn uid(object: &Value) -> Option<&str> {
    text(object, "uid")
}

/// Returns `metadata.resourceVersion`.
pub fn resource_version(object: &Value) -> Option<&str> {
    text(object, "resourceVersion")
}

/// Returns `metadata.name`.
pub fn name(object: &Value) -> Option<&str> {
    text(object, "name")
}

/// Returns `metadata.namespace`.
pub fn namespace(object: &Value) -> Option<&str> {
    text(object, "namespace")
}

/// Returns the value of a label.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(key)?.as_str()
}

/// Returns the value of an annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// Whether the object has a deletion timestamp.
pub fn is_deleting(object: &Value) -> bool {
    text(object, "deletionTimestamp").is_some()
}

/// Returns `metadata.finalizers`.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let list = object.get("metadata").and_then(|meta| meta.get("finalizers")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// Returns the UIDs in `metadata.ownerReferences`.
pub fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let list = object.get("metadata").and_then(|meta| meta.get("ownerReferences")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|owner| owner.get("uid")?.as_str())
}

/// Returns the entries of `metadata.managedFields`.
pub fn managed_fields(object: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let list = object.get("metadata").and_then(|meta| meta.get("managedFields")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}

/// Returns the field managers that own fields, once per entry.
pub fn managers(object: &Value) -> impl Iterator<Item = &str> {
    managed_fields(object).filter_map(|entry| entry.get("manager")?.as_str())
}

/// Returns the `fieldsV1` tree of the fields that a manager owns through server-side apply.
pub fn applied_tree<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    let ours = |entry: &&Map<String, Value>| {
        entry.get("manager").and_then(Value::as_str) == Some(manager)
            && entry.get("operation").and_then(Value::as_str) == Some("Apply")
            && entry.get("subresource").and_then(Value::as_str).unwrap_or_default().is_empty()
    };
    managed_fields(object).find(ours).and_then(|entry| entry.get("fieldsV1"))
}

/// Returns the fields that a manager owns through server-side apply; empty if it owns none.
pub fn applied_fields(object: &Value, manager: &str) -> FieldSet {
    applied_tree(object, manager).map(FieldSet::from_fields_v1).unwrap_or_default()
}
