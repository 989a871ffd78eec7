//! JSON Merge Patch (RFC 7396).

use brokkr_core::error::{Invalid, InvalidCode, excerpt};
use serde_json::{Map, Value};

/// Refuses fields that the document does not have. Otherwise null for a misspelled field would silently do nothing.
pub(crate) fn refuse_unknown(document: &Value, fields: &Map<String, Value>) -> Result<(), Invalid> {
    fields.keys().try_for_each(|key| known(document, key).map(drop))
}

/// Like [`refuse_unknown`], also for the fields of nested objects. `shape` is a document with every field; an empty object in
/// it is a map, whose keys the caller chooses.
pub(crate) fn refuse_unknown_nested(shape: &Value, fields: &Map<String, Value>) -> Result<(), Invalid> {
    for (key, value) in fields {
        let known = known(shape, key)?;
        let is_map = known.as_object().is_none_or(Map::is_empty);
        if let Value::Object(nested) = value
            && !is_map
        {
            refuse_unknown_nested(known, nested).map_err(|invalid| invalid.within(key))?;
        }
    }
    Ok(())
}

fn known<'a>(document: &'a Value, key: &str) -> Result<&'a Value, Invalid> {
    document.get(key).ok_or_else(|| {
        let message = format!("unknown field \"{}\"; remove it or correct its name", excerpt(key));
        Invalid::new(InvalidCode::UnknownField, message).within(key)
    })
}

/// Applies a JSON Merge Patch (RFC 7396). The depth of bodies is bounded, and so is the recursion.
///
/// An object that only resets fields does not create the object that would have them: what is absent stays absent.
pub(crate) fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(map.remove(key)),
            Value::Object(patch) if only_resets(patch) && !map.get(key).is_some_and(Value::is_object) => {}
            Value::Object(patch) => merge(map.entry(key).or_insert(Value::Null), patch),
            value => drop(map.insert(key.clone(), value.clone())),
        }
    }
}

/// Whether a patch sets nothing. An empty object does: it stands for itself.
fn only_resets(patch: &Map<String, Value>) -> bool {
    !patch.is_empty()
        && patch.values().all(|value| match value {
            Value::Null => true,
            Value::Object(nested) => only_resets(nested),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may panic")]

    use serde_json::json;

    use super::*;

    #[test]
    fn null_into_an_absent_object_stays_absent() {
        for (before, patch, after) in [
            (json!({}), json!({"a": {"b": null}}), json!({})),
            (json!({"a": null}), json!({"a": {"b": null}}), json!({"a": null})),
            (json!({}), json!({"a": {"b": {"c": null}, "d": null}}), json!({})),
            (json!({}), json!({"a": {}}), json!({"a": {}})),
            (json!({}), json!({"a": {"b": {}}}), json!({"a": {"b": {}}})),
            (json!({}), json!({"a": {"b": null, "c": 1}}), json!({"a": {"c": 1}})),
            (json!({"a": {"b": 1}}), json!({"a": {"b": null}}), json!({"a": {}})),
            (json!({"a": {"x": 1}}), json!({"a": {"b": {"c": null}}}), json!({"a": {"x": 1}})),
            (json!({"a": [1]}), json!({"a": [2, null]}), json!({"a": [2, null]})),
        ] {
            let mut now = before.clone();
            merge(&mut now, patch.as_object().unwrap());
            assert_eq!(now, after, "{before} and {patch}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_at_every_depth() {
        let shape = json!({"labels": {}, "rule": {"any": null, "not": {"all": null}}, "rank": 0});
        for (patch, pointer) in [
            (json!({"labels": {"x": null}, "rule": {"any": null, "not": {"all": [1]}}, "rank": null}), None),
            (json!({"rules": null}), Some("/rules")),
            (json!({"rule": {"some": null}}), Some("/rule/some")),
            (json!({"rule": {"not": {"any": null}}}), Some("/rule/not/any")),
            (json!({"rule": null}), None),
        ] {
            let refused = refuse_unknown_nested(&shape, patch.as_object().unwrap()).err();
            assert_eq!(refused.map(|it| it.pointer).as_deref(), pointer, "{patch}");
        }
    }
}
