//! JSON Merge Patch (RFC 7396).

use brokkr_core::error::{Invalid, InvalidCode, excerpt};
use serde_json::{Map, Value};

/// Refuses fields that the document does not have. Otherwise null for a misspelled field would silently do nothing.
pub(crate) fn refuse_unknown(document: &Value, fields: &Map<String, Value>) -> Result<(), Invalid> {
    match fields.keys().find(|key| document.get(key.as_str()).is_none()) {
        None => Ok(()),
        Some(key) => {
            let message = format!("unknown field \"{}\"; remove it or correct its name", excerpt(key));
            Err(Invalid::new(InvalidCode::UnknownField, message).within(key))
        }
    }
}

/// Applies a JSON Merge Patch (RFC 7396). The depth of bodies is bounded, and so is the recursion.
pub(crate) fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(map.remove(key)),
            Value::Object(patch) => merge(map.entry(key).or_insert(Value::Null), patch),
            value => drop(map.insert(key.clone(), value.clone())),
        }
    }
}
