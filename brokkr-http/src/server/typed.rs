//! Deserialization with error messages that name the place and the expected value, without serde's wording.

use brokkr_core::error::{Invalid, InvalidCode, escape_pointer, excerpt};
use serde::de::DeserializeOwned;
use serde_json::Value;

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
        let said = error.inner().to_string();
        let quoted = excerpt(said.split('`').nth(1).unwrap_or_default());
        let (code, message) = if said.starts_with("unknown field") {
            (InvalidCode::UnknownField, format!("unknown field \"{quoted}\"; remove it or correct its name"))
        } else if said.starts_with("missing field") {
            (InvalidCode::FieldInvalid, format!("missing field \"{quoted}\""))
        } else {
            (InvalidCode::FieldInvalid, format!("expected {}", expectation(&said)))
        };
        Invalid { code, pointer, message }
    })
}

/// The expected value in the API's words, given serde's message.
fn expectation(said: &str) -> String {
    let expected = said.split_once("expected ").map_or("", |(_, expected)| expected);
    let is_ours = ["invalid id: ", "invalid digest: ", "invalid time: "].iter().any(|ours| said.starts_with(ours));
    match expected {
        _ if is_ours => expected.to_owned(),
        "a string" | "string" | "a borrowed string" => "a string".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or greater".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        _ if expected.starts_with("struct ") => "an object".to_owned(),
        // serde puts the variants of an enum in backticks.
        _ if said.starts_with("unknown variant") => {
            let words: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
            format!("one of: {}", words.join(", "))
        }
        _ => "a value that matches the OpenAPI document".to_owned(),
    }
}
