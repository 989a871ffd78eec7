//! Values without surprises: a repeated key or a number that would lose digits is an error, in JSON and in
//! YAML alike.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Invalid, InvalidCode};
use crate::model::limits;

pub(super) const DUPLICATE_KEY: &str = "brokkr: duplicate key";
pub(super) const BAD_NUMBER: &str = "brokkr: bad number";

/// The largest integer up to which every integer has a floating-point number of its own: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A JSON value that was read strictly.
pub(super) struct Strict(pub(super) Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let lost_digits = value.fract() == 0.0 && value.abs() >= EXACT;
        let negative_zero = value == 0.0 && value.is_sign_negative();
        match Number::from_f64(value) {
            Some(number) if !lost_digits && !negative_zero => Ok(Value::Number(number)),
            _ => Err(E::custom(BAD_NUMBER)),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Strict(value) = entries.next_value()?;
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom(DUPLICATE_KEY));
            }
        }
        Ok(Value::Object(map))
    }
}

/// Bounds nesting and the number of values before anything is read: read, small ones take twenty times their size.
fn check_shape(text: &str) -> Result<(), Invalid> {
    let (mut values, mut depth, mut in_text, mut escaped) = (1, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b',' => values += 1,
            b'[' | b'{' => (values, depth) = (values + 1, depth + 1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits::DEPTH {
            let message = format!("nests deeper than {} levels", limits::DEPTH);
            return Err(Invalid::new(InvalidCode::JsonTooDeep, message));
        }
    }
    if values > limits::YAML_NODES {
        let message = format!("more than {} values", limits::YAML_NODES);
        return Err(Invalid::new(InvalidCode::SetTooLarge, message));
    }
    Ok(())
}

/// Parses one JSON document: UTF-8, no repeated keys, no numbers that lose digits, no NUL in texts, bounded depth and number of
/// values.
pub fn parse_json(bytes: &[u8]) -> Result<Value, Invalid> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Invalid::new(InvalidCode::BodyNotUtf8, "the body is not UTF-8"))?;
    check_shape(text)?;
    let Strict(value) = serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let (line, column) = (error.line(), error.column());
        if said.contains(DUPLICATE_KEY) {
            let message = format!("a key stands twice in the object that ends at line {line}, column {column}");
            Invalid::new(InvalidCode::JsonDuplicateKey, message)
        } else if said.contains(BAD_NUMBER) || said.contains("number out of range") {
            let message = format!("the number at line {line}, column {column} cannot be kept exactly; quote it");
            Invalid::new(InvalidCode::NumberOutOfRange, message)
        } else {
            Invalid::new(InvalidCode::JsonSyntax, format!("not JSON at line {line}, column {column}"))
        }
    })?;
    check_texts(&value, InvalidCode::JsonTooDeep)?;
    Ok(value)
}

/// Refuses NUL in any key or text, and nesting beyond the limit, without recursion. No path is built on the way: for a
/// hostile document the paths would take more memory than the document.
pub(super) fn check_texts(value: &Value, too_deep: InvalidCode) -> Result<(), Invalid> {
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        if depth > limits::DEPTH {
            return Err(Invalid::new(too_deep, format!("nests deeper than {} levels", limits::DEPTH)));
        }
        let has_nul = match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => {
                open.extend(items.iter().filter(|it| !is_plain(it)).map(|it| (it, depth + 1)));
                items.iter().any(|it| it.as_str().is_some_and(|text| text.contains('\0')))
            }
            Value::Object(map) => {
                open.extend(map.values().filter(|it| !is_plain(it)).map(|it| (it, depth + 1)));
                let text_with_nul = |it: &Value| it.as_str().is_some_and(|text| text.contains('\0'));
                map.iter().any(|(key, it)| key.contains('\0') || text_with_nul(it))
            }
            _ => false,
        };
        if has_nul {
            return Err(Invalid::new(InvalidCode::TextContainsNul, "a key or a text contains NUL"));
        }
    }
    Ok(())
}

fn is_plain(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_json_refuses_what_readers_disagree_about() {
        for (text, code) in [
            (r#"{"a":1,"a":2}"#, InvalidCode::JsonDuplicateKey),
            (r#"[{"a":{"b":1,"b":1}}]"#, InvalidCode::JsonDuplicateKey),
            ("99999999999999999999999999", InvalidCode::NumberOutOfRange),
            ("1e999", InvalidCode::NumberOutOfRange),
            ("-0", InvalidCode::NumberOutOfRange),
            ("\"a\\u0000\"", InvalidCode::TextContainsNul),
            (r#"{"a\u0000":1}"#, InvalidCode::TextContainsNul),
            ("{", InvalidCode::JsonSyntax),
            ("", InvalidCode::JsonSyntax),
            ("{} {}", InvalidCode::JsonSyntax),
        ] {
            assert_eq!(parse_json(text.as_bytes()).map_err(|error| error.code), Err(code), "{text}");
        }
        assert_eq!(parse_json(b"\xff").map_err(|error| error.code), Err(InvalidCode::BodyNotUtf8));
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse_json(nested(limits::DEPTH).as_bytes()).is_ok());
        for n in [limits::DEPTH + 1, 1_000, 1_000_000] {
            assert_eq!(parse_json(nested(n).as_bytes()).map_err(|e| e.code), Err(InvalidCode::JsonTooDeep), "{n}");
        }
        let zeros = |n: usize| format!("[{}0]", "0,".repeat(n));
        assert!(parse_json(zeros(limits::YAML_NODES - 3).as_bytes()).is_ok());
        assert_eq!(parse_json(zeros(limits::YAML_NODES).as_bytes()).map_err(|e| e.code), Err(InvalidCode::SetTooLarge));
        let text = format!("[\"\\\"{}\"]", ",".repeat(limits::YAML_NODES));
        assert!(parse_json(text.as_bytes()).is_ok(), "in a text they are no values");
        assert!(parse_json(br#"{"a": [1, -5, 0.5, 18446744073709551615, "x", null, true]}"#).is_ok());
    }
}
