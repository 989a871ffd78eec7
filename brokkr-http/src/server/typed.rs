//! Deserialization with error messages that name the place and the expected value.

use brokkr_core::error::{Invalid, InvalidCode, escape_pointer, excerpt};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::mismatch::Mismatch;
use super::objects::Objects;
use super::problem::Problem;

/// Deserializes a value. The problem names the place and the expected value.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    typed_or_invalid(value).map_err(Problem::from)
}

pub(crate) fn typed_or_invalid<T: DeserializeOwned>(mut value: Value) -> Result<T, Invalid> {
    normalize_integers(&mut value);
    typed_exact(value)
}

/// Rewrites floats without a fraction as integers: in JSON Schema 1.0 is an integer. Recursion is bounded like the depth of
/// bodies.
fn normalize_integers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            // Above this value a float does not represent every whole number.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            let whole = number.as_f64().filter(|it| number.is_f64() && it.fract() == 0.0 && it.abs() <= EXACT);
            if let Some(whole) = whole {
                *value = Value::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalize_integers),
        Value::Object(map) => map.values_mut().for_each(normalize_integers),
        _ => {}
    }
}

/// Like [`typed_or_invalid`], but keeps all numbers as written, for manifests and parameters whose digits must not change.
pub(crate) fn typed_exact<T: DeserializeOwned>(value: Value) -> Result<T, Invalid> {
    serde_path_to_error::deserialize(Objects(value)).map_err(|error| {
        let segments = error.path().iter().filter_map(|segment| match segment {
            serde_path_to_error::Segment::Seq { index } => Some(index.to_string()),
            serde_path_to_error::Segment::Map { key } => Some(escape_pointer(key)),
            _ => None,
        });
        let pointer: String = segments.map(|segment| format!("/{segment}")).collect();
        let (code, message) = match error.into_inner() {
            Mismatch::UnknownField(field) => {
                let message = format!("unknown field \"{}\"; remove it or correct its name", excerpt(&field));
                (InvalidCode::UnknownField, message)
            }
            Mismatch::MissingField(field) => (InvalidCode::FieldInvalid, format!("missing field \"{field}\"")),
            Mismatch::Expected(what) => (InvalidCode::FieldInvalid, format!("expected {what}")),
        };
        Invalid { code, pointer, message }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use brokkr_core::model::{AgentId, Digest, Health, Name, Timestamp};
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        #[serde(rename = "on")]
        _on: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "text")]
        _text: String,
        #[serde(default, rename = "inner")]
        _inner: Inner,
        #[serde(default, rename = "rank")]
        _rank: u32,
        #[serde(default, rename = "offset")]
        _offset: i64,
        #[serde(default, rename = "list")]
        _list: Vec<Inner>,
        #[serde(default, rename = "map")]
        _map: BTreeMap<String, String>,
        #[serde(default, rename = "health")]
        _health: Health,
        #[serde(default, rename = "id")]
        _id: Option<AgentId>,
        #[serde(default, rename = "digest")]
        _digest: Option<Digest>,
        #[serde(default, rename = "at")]
        _at: Option<Timestamp>,
        #[serde(default, rename = "name")]
        _name: Option<Name>,
    }

    #[test]
    fn mismatch_names_the_place_and_the_expected_value() {
        const OTHER: &str = "expected a value that matches the OpenAPI document";
        const WHOLE: &str = "expected a whole number, 0 or greater";
        const UUID: &str = "expected a UUID in lower-case hyphenated form";
        for (body, pointer, message) in [
            (json!([]), "", "expected an object"),
            (json!({}), "", "missing field \"text\""),
            (json!({"text": 1}), "/text", "expected a string"),
            (json!({"text": null}), "/text", "expected a string"),
            (json!({"text": "", "more": 1}), "/more", "unknown field \"more\"; remove it or correct its name"),
            (json!({"text": "", "inner": []}), "/inner", "expected an object"),
            (json!({"text": "", "inner": {"on": 1}}), "/inner/on", "expected true or false"),
            (json!({"text": "", "rank": -1}), "/rank", WHOLE),
            (json!({"text": "", "rank": 1.5}), "/rank", WHOLE),
            (json!({"text": "", "rank": 5_000_000_000_u64}), "/rank", WHOLE),
            (json!({"text": "", "offset": 18_446_744_073_709_551_615_u64}), "/offset", OTHER),
            (json!({"text": "", "list": {}}), "/list", "expected a list"),
            (
                json!({"text": "", "list": [{}, {"off": 1}]}),
                "/list/1/off",
                "unknown field \"off\"; remove it or correct its name",
            ),
            (json!({"text": "", "map": []}), "/map", "expected an object"),
            (json!({"text": "", "map": {"a/b": 1}}), "/map/a~1b", "expected a string"),
            (
                json!({"text": "", "health": "well"}),
                "/health",
                "expected one of: unknown, progressing, healthy, degraded, suspended",
            ),
            (json!({"text": "", "health": 1}), "/health", OTHER),
            (json!({"text": "", "health": {}}), "/health", OTHER),
            (json!({"text": "", "id": "1"}), "/id", UUID),
            (json!({"text": "", "id": 1}), "/id", "expected a string"),
            (
                json!({"text": "", "digest": "sha256:"}),
                "/digest",
                "expected sha256: and 64 lower-case hexadecimal digits",
            ),
            (
                json!({"text": "", "at": "now"}),
                "/at",
                "expected RFC 3339, such as 2026-01-01T00:00:00Z, in the years 1 to 9999",
            ),
            (json!({"text": "", "name": "A name"}), "/name", OTHER),
        ] {
            let error = typed_or_invalid::<Outer>(body.clone()).expect_err("a mismatch");
            assert_eq!((&*error.pointer, &*error.message), (pointer, message), "{body}");
        }
        let fits = json!({"text": "", "rank": 1.0, "list": [{"on": true}], "health": "healthy", "id": null});
        assert!(typed_or_invalid::<Outer>(fits).is_ok());
    }
}
