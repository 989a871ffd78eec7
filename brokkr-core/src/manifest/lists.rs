//! Lists of objects.

use serde_json::Value;

use crate::error::{Invalid, InvalidCode};
use crate::manifest::normalise::check_type;

/// Returns the items of a list, or the document itself if it is no list. As in kubectl, a document with the field
/// `items` is a list. An item without kind and apiVersion inherits those of its list.
pub(super) fn unfold(document: Value) -> Result<Vec<Value>, Invalid> {
    let Value::Object(mut list) = document else {
        return Ok(vec![document]);
    };
    let Some(items) = list.remove("items") else {
        return Ok(vec![Value::Object(list)]);
    };
    let text = |field: &str| match list.get(field).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(invalid(&format!("/{field}"), "missing, empty or not a string")),
    };
    if !list.get("metadata").is_none_or(|it| it.is_object() || it.is_null()) {
        return Err(invalid("/metadata", "metadata must be a mapping"));
    }
    let (api_version, kind) = (text("apiVersion")?, text("kind")?);
    check_type(api_version, kind)?;
    let item_kind = kind.strip_suffix("List").unwrap_or(kind);
    let mut items = match items {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        _ => return Err(invalid("/items", "items must be a list of objects")),
    };
    for (n, item) in items.iter_mut().enumerate() {
        let Value::Object(item) = item else { continue };
        if item.get("items").is_some_and(Value::is_array) {
            return Err(invalid(&format!("/items/{n}"), "lists must not be nested"));
        }
        // Later checks refuse values that are not strings.
        let has = |field: &str| item.get(field).is_some_and(|it| !it.is_null() && it != "");
        if !has("kind") && !has("apiVersion") {
            item.insert("kind".to_owned(), item_kind.into());
            item.insert("apiVersion".to_owned(), api_version.into());
        }
    }
    Ok(items)
}

fn invalid(pointer: &str, message: &str) -> Invalid {
    Invalid { code: InvalidCode::ManifestInvalid, pointer: pointer.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_unfolded_into_their_items() {
        let named = |name: &str| json!({"metadata": {"name": name}});
        let list = |kind: &str, items: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "l"}, "items": items});
        let whole = |kind: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}});
        for (document, expected) in [
            (named("a"), vec![named("a")]),
            (json!(1), vec![json!(1)]),
            (list("List", json!([whole("Pod"), whole("Secret")])), vec![whole("Pod"), whole("Secret")]),
            (list("ConfigMapList", json!([named("a")])), vec![whole("ConfigMap")]),
            (list("Shelf", json!([named("a")])), vec![whole("Shelf")]),
            (list("ConfigMapList", json!([{"kind": "X"}])), vec![json!({"kind": "X"})]),
            (list("ConfigMapList", json!([{"apiVersion": "v2"}])), vec![json!({"apiVersion": "v2"})]),
            (
                list("ConfigMapList", json!([{"kind": "", "apiVersion": null}])),
                vec![json!({"kind": "ConfigMap", "apiVersion": "v1"})],
            ),
            (list("List", json!([])), vec![]),
            (list("List", json!(null)), vec![]),
            (list("List", json!([1])), vec![json!(1)]),
        ] {
            assert_eq!(unfold(document.clone()), Ok(expected), "{document}");
        }
        for (document, pointer) in [
            (list("List", json!({})), "/items"),
            (list("List", json!([named("a"), list("List", json!([]))])), "/items/1"),
            (list("", json!([])), "/kind"),
            (json!({"kind": "List", "items": []}), "/apiVersion"),
            (json!({"apiVersion": "v1", "kind": "List", "metadata": "x", "items": []}), "/metadata"),
        ] {
            assert_eq!(unfold(document.clone()).map_err(|it| it.pointer), Err(pointer.to_owned()), "{document}");
        }
    }
}
