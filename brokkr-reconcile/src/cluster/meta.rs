//! Reading the metadata of an object.

use serde_json::{Map, Value};

use crate::cluster::FieldSet;

fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get("metadata")?.get(field)?.as_str()
}

/// The UID.
pub fn uid(object: &Value) -> Option<&str> {
    text(object, "uid")
}

/// The resource version.
pub fn resource_version(object: &Value) -> Option<&str> {
    text(object, "resourceVersion")
}

/// The name.
pub fn name(object: &Value) -> Option<&str> {
    text(object, "name")
}

/// The namespace.
pub fn namespace(object: &Value) -> Option<&str> {
    text(object, "namespace")
}

/// The value of a label.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(key)?.as_str()
}

/// The value of an annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// Whether its deletion was ordered.
pub fn is_deleting(object: &Value) -> bool {
    text(object, "deletionTimestamp").is_some()
}

/// Its finalizers.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let list = object.get("metadata").and_then(|meta| meta.get("finalizers")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// The UIDs of its owners.
pub fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let list = object.get("metadata").and_then(|meta| meta.get("ownerReferences")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|owner| owner.get("uid")?.as_str())
}

/// The entries of `metadata.managedFields`.
pub fn managed_fields(object: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let list = object.get("metadata").and_then(|meta| meta.get("managedFields")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}

/// The managers that own fields.
pub fn managers(object: &Value) -> impl Iterator<Item = &str> {
    managed_fields(object).filter_map(|entry| entry.get("manager")?.as_str())
}

/// The `fieldsV1` tree of what a manager owns by applying it.
pub fn applied_tree<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    let ours = |entry: &&Map<String, Value>| {
        entry.get("manager").and_then(Value::as_str) == Some(manager)
            && entry.get("operation").and_then(Value::as_str) == Some("Apply")
            && entry.get("subresource").and_then(Value::as_str).unwrap_or_default().is_empty()
    };
    managed_fields(object).find(ours).and_then(|entry| entry.get("fieldsV1"))
}

/// The fields that a manager owns by applying them; empty when it owns none.
pub fn applied_fields(object: &Value, manager: &str) -> FieldSet {
    applied_tree(object, manager).map(FieldSet::from_fields_v1).unwrap_or_default()
}
