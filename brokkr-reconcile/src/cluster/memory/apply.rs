//! Server-side apply and patches in an in-memory cluster.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::cluster::memory::fields::Path;
use crate::cluster::memory::state::State;
use crate::cluster::memory::{check_precondition, fields};
use crate::cluster::{ApplyOptions, ApplyOutcome, ClusterError, ClusterResult, FieldConflict, ObjectKey, Patch, meta};

/// An entry of `managedFields`.
struct Manager {
    name: String,
    operation: &'static str,
    fields: BTreeSet<Path>,
}

fn managers(object: &Value) -> Vec<Manager> {
    let entry = |entry: &Map<String, Value>| {
        let operation = if entry.get("operation")?.as_str()? == "Apply" { "Apply" } else { "Update" };
        let fields = entry.get("fieldsV1").map(fields::from_fields_v1).unwrap_or_default();
        Some(Manager { name: entry.get("manager")?.as_str()?.to_owned(), operation, fields })
    };
    meta::managed_fields(object).filter_map(entry).collect()
}

fn write_managers(object: &mut Value, managers: &[Manager], api_version: &str) {
    let owning = managers.iter().filter(|manager| !manager.fields.is_empty());
    let entries: Vec<Value> = owning
        .map(|manager| {
            json!({
                "manager": manager.name,
                "operation": manager.operation,
                "apiVersion": api_version,
                "fieldsType": "FieldsV1",
                "fieldsV1": fields::to_fields_v1(&manager.fields),
            })
        })
        .collect();
    object["metadata"]["managedFields"] = Value::Array(entries);
}

/// Returns the entry of a manager, and creates it if it is missing.
fn entry<'a>(managers: &'a mut Vec<Manager>, name: &str, operation: &'static str) -> &'a mut BTreeSet<Path> {
    let at = managers.iter().position(|it| it.name == name && it.operation == operation).unwrap_or_else(|| {
        managers.push(Manager { name: name.to_owned(), operation, fields: BTreeSet::new() });
        managers.len() - 1
    });
    // `at` was just found or pushed.
    &mut managers[at].fields
}

impl State {
    pub(super) fn apply(
        &mut self,
        at: &ObjectKey<'_>,
        body: &Value,
        options: &ApplyOptions<'_>,
    ) -> ClusterResult<ApplyOutcome> {
        self.check_served(at.kind)?;
        if meta::name(body).is_some_and(|name| name != at.name) {
            return Err(ClusterError::Invalid("the name in the body is not the one in the path".to_owned()));
        }
        let (uid, version) = (meta::uid(body), meta::resource_version(body));
        let wanted = fields::leaves(body);
        let Some(live) = self.get(at).cloned() else {
            if uid.is_some() || version.is_some() {
                return Err(ClusterError::Precondition("the object does not exist".to_owned()));
            }
            self.check_namespace(at)?;
            let mut object = json!({
                "apiVersion": at.kind.api_version(),
                "kind": at.kind.kind,
                "metadata": {"name": at.name},
            });
            if let Some(namespace) = at.namespace {
                object["metadata"]["namespace"] = json!(namespace);
            }
            merge(&mut object, body, &wanted);
            let manager = Manager { name: options.field_manager.to_owned(), operation: "Apply", fields: wanted };
            write_managers(&mut object, &[manager], &at.kind.api_version());
            let object = if options.dry_run { object } else { self.insert(at, object) };
            return Ok(ApplyOutcome { object, created: true });
        };
        check_precondition(&live, uid, version)?;
        let mut managers = managers(&live);
        let conflicts = conflicts(&live, body, &wanted, &managers, options.field_manager);
        if !options.force && !conflicts.is_empty() {
            return Err(ClusterError::Conflict(
                conflicts
                    .into_iter()
                    .map(|(path, manager)| FieldConflict { field: fields::text(&path), manager })
                    .collect(),
            ));
        }
        for (path, _) in &conflicts {
            for other in managers.iter_mut().filter(|it| it.name != options.field_manager || it.operation != "Apply") {
                other.fields.retain(|owned| !fields::overlap(owned, path));
            }
        }
        let before = std::mem::replace(entry(&mut managers, options.field_manager, "Apply"), wanted.clone());
        let mut object = live.clone();
        for path in before.difference(&wanted) {
            let kept = managers.iter().any(|it| it.fields.iter().any(|owned| owned.starts_with(path)));
            if !kept {
                // Removing a list item's own key, which ends in a dot, removes the item.
                let place =
                    if path.last().is_some_and(|last| last == ".") { &path[..path.len() - 1] } else { &path[..] };
                fields::remove(&mut object, place);
            }
        }
        merge(&mut object, body, &wanted);
        write_managers(&mut object, &managers, &at.kind.api_version());
        let object = if options.dry_run { object } else { self.replace(at, &live, object) };
        Ok(ApplyOutcome { object, created: false })
    }

    pub(super) fn patch(&mut self, at: &ObjectKey<'_>, patch: &Patch, manager: &str) -> ClusterResult<Value> {
        self.check_served(at.kind)?;
        let live = self.get(at).cloned().ok_or_else(|| ClusterError::NotFound(at.object_ref().to_string()))?;
        let Patch::Merge(patch) = patch;
        check_precondition(&live, meta::uid(patch), meta::resource_version(patch))?;
        let mut object = live.clone();
        merge_patch(&mut object, patch);
        if patch.pointer("/metadata/managedFields").is_none() {
            let (old, new) = (fields::leaves(&live), fields::leaves(&object));
            let changed: BTreeSet<Path> =
                new.iter().filter(|path| fields::get(&live, path) != fields::get(&object, path)).cloned().collect();
            let mut managers = managers(&live);
            for other in &mut managers {
                other.fields.retain(|owned| {
                    (new.contains(owned) || !old.contains(owned))
                        && !changed.iter().any(|path| fields::overlap(owned, path))
                });
            }
            entry(&mut managers, manager, "Update").extend(changed);
            write_managers(&mut object, &managers, &at.kind.api_version());
        }
        Ok(self.replace(at, &live, object))
    }
}

fn merge(object: &mut Value, body: &Value, wanted: &BTreeSet<Path>) {
    for path in wanted {
        if let Some(value) = fields::get(body, path) {
            fields::set(object, path, value.clone());
        }
    }
}

fn conflicts(
    live: &Value,
    body: &Value,
    wanted: &BTreeSet<Path>,
    managers: &[Manager],
    own: &str,
) -> Vec<(Path, String)> {
    let mut out = Vec::new();
    for path in wanted.iter().filter(|path| path.last().is_none_or(|last| last != ".")) {
        let there = fields::get(live, path);
        if there.is_none() || there == fields::get(body, path) {
            continue;
        }
        for other in managers.iter().filter(|it| it.name != own || it.operation != "Apply") {
            if other.fields.iter().any(|owned| fields::overlap(owned, path)) {
                out.push((path.clone(), other.name.clone()));
            }
        }
    }
    out
}

/// JSON Merge Patch (RFC 7396).
fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge_patch(map.entry(key).or_insert(Value::Null), value);
        }
    }
}
