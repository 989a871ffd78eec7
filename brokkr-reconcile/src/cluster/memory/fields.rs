//! Field paths in JSON, as in server-side apply.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::cluster::FieldSet;

/// A path as the keys of `fieldsV1`: `f:<field>`, `k:{"name":…}`, and `.` for a list item itself.
pub(super) type Path = Vec<String>;

/// Lists whose items are merged by their field `name`. All other lists are atomic.
const KEYED: [&str; 6] = ["containers", "initContainers", "ephemeralContainers", "volumes", "env", "imagePullSecrets"];

/// Whether server-side apply never manages the path.
fn is_identity(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(
        path.as_slice(),
        ["f:apiVersion" | "f:kind"]
            | [
                "f:metadata",
                "f:name"
                    | "f:namespace"
                    | "f:uid"
                    | "f:resourceVersion"
                    | "f:generation"
                    | "f:creationTimestamp"
                    | "f:managedFields"
                    | "f:deletionTimestamp"
            ]
    )
}

/// Returns the paths of all leaves of an object.
pub(super) fn leaves(object: &Value) -> BTreeSet<Path> {
    let mut out = BTreeSet::new();
    // Manifest checks bound the depth of bodies.
    walk(object, &mut Vec::new(), "", &mut out);
    out
}

fn walk(value: &Value, path: &mut Path, field: &str, out: &mut BTreeSet<Path>) {
    if is_identity(path) {
        return;
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, child) in map {
                path.push(format!("f:{key}"));
                walk(child, path, key, out);
                path.pop();
            }
        }
        Value::Array(items) if is_keyed(field, items) => {
            for item in items {
                path.push(key_of(item));
                path.push(".".to_owned());
                out.insert(path.clone());
                path.pop();
                walk(item, path, "", out);
                path.pop();
            }
        }
        _ if path.is_empty() => {}
        _ => drop(out.insert(path.clone())),
    }
}

fn is_keyed(field: &str, items: &[Value]) -> bool {
    !items.is_empty()
        && KEYED.contains(&field)
        && items.iter().all(|item| item.get("name").is_some_and(Value::is_string))
}

fn key_of(item: &Value) -> String {
    format!("k:{}", json!({"name": item.get("name")}))
}

fn item_name(element: &str) -> Option<Value> {
    serde_json::from_str::<Value>(element.strip_prefix("k:")?).ok()?.get("name").cloned()
}

/// Returns the value at a path.
pub(super) fn get<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, element| match element.strip_prefix("f:") {
        Some(field) => value.get(field),
        None if element == "." => Some(value),
        None => {
            let name = item_name(element)?;
            value.as_array()?.iter().find(|item| item.get("name") == Some(&name))
        }
    })
}

/// Sets the value at a path, and creates missing parents.
pub(super) fn set(object: &mut Value, path: &[String], new: Value) {
    let mut place = object;
    for element in path {
        if element == "." {
            return;
        }
        if let Some(field) = element.strip_prefix("f:") {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(map) = place else { return };
            place = map.entry(field).or_insert(Value::Null);
        } else {
            let Some(name) = item_name(element) else {
                return;
            };
            if !place.is_array() {
                *place = Value::Array(Vec::new());
            }
            let Value::Array(items) = place else { return };
            let at = items.iter().position(|item| item.get("name") == Some(&name));
            let at = at.unwrap_or_else(|| {
                items.push(json!({"name": name}));
                items.len() - 1
            });
            let Some(item) = items.get_mut(at) else {
                return;
            };
            place = item;
        }
    }
    *place = new;
}

/// Removes the value at a path, and the parents that become empty.
pub(super) fn remove(object: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    if let Some(parent) = get_mut(object, parents) {
        match parent {
            Value::Object(map) => drop(last.strip_prefix("f:").and_then(|field| map.remove(field))),
            Value::Array(items) => {
                if let Some(name) = item_name(last) {
                    items.retain(|item| item.get("name") != Some(&name));
                }
            }
            _ => {}
        }
        let empty = parent.as_object().is_some_and(Map::is_empty) || parent.as_array().is_some_and(Vec::is_empty);
        if empty && parents.len() > 1 {
            remove(object, parents);
        }
    }
}

fn get_mut<'a>(object: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(object, |value, element| match element.strip_prefix("f:") {
        Some(field) => value.get_mut(field),
        None if element == "." => Some(value),
        None => {
            let name = item_name(element)?;
            value.as_array_mut()?.iter_mut().find(|item| item.get("name") == Some(&name))
        }
    })
}

/// Converts paths to `fieldsV1`.
pub(super) fn to_fields_v1(paths: &BTreeSet<Path>) -> Value {
    let mut tree = Value::Object(Map::new());
    for path in paths {
        let mut place = &mut tree;
        for element in path {
            let Value::Object(map) = place else { break };
            place = map.entry(element.clone()).or_insert_with(|| Value::Object(Map::new()));
        }
    }
    tree
}

/// Parses the paths of a `fieldsV1` tree.
pub(super) fn from_fields_v1(tree: &Value) -> BTreeSet<Path> {
    let mut out = BTreeSet::new();
    let mut open = vec![(tree, Vec::new())];
    while let Some((node, path)) = open.pop() {
        match node.as_object() {
            Some(map) if !map.is_empty() => {
                open.extend(
                    map.iter().map(|(key, child)| (child, [path.as_slice(), std::slice::from_ref(key)].concat())),
                );
            }
            _ if !path.is_empty() => drop(out.insert(path)),
            _ => {}
        }
    }
    out
}

/// Returns a path in the notation of conflict messages.
pub(super) fn text(path: &Path) -> String {
    let tree = to_fields_v1(&BTreeSet::from([path.clone()]));
    FieldSet::from_fields_v1(&tree).paths().next().unwrap_or_default().to_owned()
}

/// Whether one path equals or contains the other.
pub(super) fn overlap(a: &[String], b: &[String]) -> bool {
    a.starts_with(b) || b.starts_with(a)
}
