//! Conversion of a document to a manifest: checks, and removal of fields that only a cluster writes.

use serde_json::{Map, Value};

use crate::error::{Invalid, InvalidCode, escape_pointer, excerpt};
use crate::manifest::Manifest;
use crate::manifest::warnings::Warnings;
use crate::model::limits;

/// Fields of `metadata` that only a cluster writes. Exported manifests contain them; they have no meaning in a desired
/// state.
const CLUSTER_WRITTEN: [&str; 7] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
];

fn invalid(pointer: &str, message: impl Into<String>) -> Invalid {
    Invalid { code: InvalidCode::ManifestInvalid, pointer: pointer.to_owned(), message: message.into() }
}

/// Checks apiVersion and kind of an object or a list. Returns the group and the version.
pub(super) fn check_type(api_version: &str, kind: &str) -> Result<(String, String), Invalid> {
    let (group, version) = api_version.split_once('/').map_or((None, api_version), |(group, it)| (Some(group), it));
    if !is_version(version) || !group.is_none_or(crate::model::is_dns_subdomain) {
        return Err(invalid("/apiVersion", "expected group/version, or a version alone for the core group"));
    }
    if !kind.starts_with(|c: char| c.is_ascii_alphabetic())
        || !kind.bytes().all(|b| b.is_ascii_alphanumeric())
        || kind.len() > 63
    {
        return Err(invalid("/kind", "a kind consists of letters and digits"));
    }
    Ok((group.unwrap_or_default().to_owned(), version.to_owned()))
}

/// Checks one document and drops the fields that only a cluster writes, with a warning.
pub(super) fn manifest(document: Value, warnings: &mut Warnings) -> Result<Manifest, Invalid> {
    let Value::Object(mut body) = document else {
        return Err(invalid("", "a manifest must be a mapping with apiVersion, kind and metadata"));
    };
    let api_version = text(&body, "apiVersion", "")?;
    let kind = text(&body, "kind", "")?;
    let (group, version) = check_type(&api_version, &kind)?;
    let Some(Value::Object(metadata)) = body.get_mut("metadata") else {
        return Err(invalid("/metadata", "metadata is missing or not a mapping"));
    };
    for forbidden in ["generateName", "ownerReferences"] {
        if metadata.get(forbidden).is_some_and(|value| !is_nothing(value)) {
            return Err(invalid(
                &format!("/metadata/{forbidden}"),
                "not allowed in manifests: give the object a name and no owner",
            ));
        }
        metadata.remove(forbidden);
    }
    let name = text(metadata, "name", "/metadata")?;
    if !is_path_segment(&name) {
        return Err(invalid("/metadata/name", format!("\"{}\" is not a valid object name", excerpt(&name))));
    }
    if metadata.get("namespace").is_some_and(|it| it.is_null() || it == "") {
        metadata.remove("namespace");
    }
    let namespace = match metadata.get("namespace") {
        None => None,
        Some(Value::String(namespace)) if crate::model::is_dns_label(namespace) => Some(namespace.clone()),
        Some(_) => {
            return Err(invalid("/metadata/namespace", "not a valid namespace name: expected a DNS label (RFC 1123)"));
        }
    };
    for key in ["labels", "annotations"] {
        for empty in texts_of(metadata, key)? {
            warnings
                .add(|| format!("{kind} {name}: {key} {} has no value; the empty string is stored", excerpt(&empty)));
        }
    }
    match metadata.get("finalizers") {
        None | Some(Value::Null) => {}
        Some(Value::Array(texts)) if texts.iter().all(Value::is_string) => {}
        Some(_) => return Err(invalid("/metadata/finalizers", "finalizers must be a list of strings")),
    }
    let mut dropped = Vec::new();
    for field in CLUSTER_WRITTEN.into_iter().chain(["uid"]) {
        if metadata.remove(field).is_some() {
            dropped.push(format!("metadata.{field}"));
        }
    }
    if body.remove("status").is_some() {
        dropped.push("status".to_owned());
    }
    if !dropped.is_empty() {
        warnings.add(|| format!("{kind} {name}: dropped {}", dropped.join(", ")));
    }
    let text = Value::Object(body).to_string().into_boxed_str();
    let size = text.len();
    if size > limits::OBJECT_BYTES {
        return Err(Invalid::new(
            InvalidCode::ObjectTooLarge,
            format!("{kind} {name} has {size} bytes as compact JSON; at most {} are allowed", limits::OBJECT_BYTES),
        ));
    }
    Ok(Manifest { group, version, kind, namespace, name, text })
}

fn text(map: &Map<String, Value>, key: &str, at: &str) -> Result<String, Invalid> {
    match map.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(invalid(&format!("{at}/{key}"), "missing, empty or not a string")),
    }
}

/// Labels and annotations map strings to strings. Every API server refuses a number or a boolean, so refuse it here.
/// Null becomes the empty string, as API servers store it; the keys with null are returned.
fn texts_of(metadata: &mut Map<String, Value>, field: &str) -> Result<Vec<String>, Invalid> {
    let mut empty = Vec::new();
    let map = match metadata.get_mut(field) {
        None => return Ok(empty),
        Some(Value::Null) => {
            metadata.remove(field);
            return Ok(empty);
        }
        Some(Value::Object(map)) => map,
        Some(_) => return Err(invalid(&format!("/metadata/{field}"), "must be a mapping")),
    };
    for (key, value) in map {
        match value {
            Value::String(_) => {}
            Value::Null => {
                empty.push(key.clone());
                *value = Value::String(String::new());
            }
            _ => {
                let pointer = format!("/metadata/{field}/{}", escape_pointer(key));
                return Err(invalid(&pointer, "the value must be a string; quote it"));
            }
        }
    }
    Ok(empty)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn is_version(text: &str) -> bool {
    crate::model::is_dns_label(text)
}

/// The rule of Kubernetes for every name: it must be usable as a path segment.
fn is_path_segment(name: &str) -> bool {
    name.len() <= 253
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'%' | b'?' | b'#' | b'\\'))
}
