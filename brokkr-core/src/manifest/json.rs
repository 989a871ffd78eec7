//! Strict JSON: a repeated key, or a number that would lose digits, is an error.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::manifest::number::{Kept, as_sent, keep};
use crate::model::limits;

const DUPLICATE_KEY: &str = "brokkr: duplicate key";
const BAD_NUMBER: &str = "brokkr: bad number";

/// A strictly parsed JSON value.
struct Strict(Value);

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

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            // Kubernetes clients have no unsigned integers. `check_shape` has refused numbers whose digits a float
            // loses.
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        as_sent(value).map(Value::Number).ok_or_else(|| E::custom(BAD_NUMBER))
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

/// Limits nesting and the number of values before parsing, since a small value takes twenty times its size when parsed.
/// Refuses numbers that cannot be stored exactly, since a parser no longer exposes their digits. Returns the number of
/// values.
fn check_shape(text: &str, first_line: usize) -> Result<usize, Invalid> {
    let (mut values, mut depth, mut in_text, mut escaped) = (1, 0_usize, false, false);
    let mut number = None;
    for (n, byte) in text.bytes().chain([b' ']).enumerate() {
        match (number, byte) {
            (Some(_), b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E') => continue,
            (Some(start), _) => check_number(text, start, n, first_line)?,
            _ => {}
        }
        number = None;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'-' | b'0'..=b'9' => number = Some(n),
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
    Ok(values)
}

fn check_number(text: &str, start: usize, end: usize, first_line: usize) -> Result<(), Invalid> {
    let written = text.get(start..end).unwrap_or_default();
    // The parser refuses text that is not a number.
    if written.parse::<f64>().is_err() || keep(written) != Kept::Not {
        return Ok(());
    }
    let before = text.get(..start).unwrap_or_default();
    let line = first_line + before.matches('\n').count();
    let column = before.rsplit('\n').next().map_or(0, |it| it.chars().count()) + 1;
    let message = format!(
        "cannot store the number {} at line {line}, column {column} without changing it; quote it",
        excerpt(written)
    );
    Err(Invalid::new(InvalidCode::NumberOutOfRange, message))
}

/// Parses one JSON document. Numbers are read as Kubernetes clients read them: `1.0` is `1`.
///
/// # Errors
///
/// [`Invalid`] for input that is not UTF-8 or not JSON, for repeated keys, integers that lose digits, NUL in strings,
/// and for more than [`DEPTH`](limits::DEPTH) levels or [`YAML_NODES`](limits::YAML_NODES) values.
pub fn parse_json(bytes: &[u8]) -> Result<Value, Invalid> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Invalid::new(InvalidCode::BodyNotUtf8, "the body is not UTF-8"))?;
    parse_counted(text, 1).map(|(value, _)| value)
}

/// Like [`parse_json`], for a text that begins at `first_line` of the input. Also returns the number of values.
pub(super) fn parse_counted(text: &str, first_line: usize) -> Result<(Value, usize), Invalid> {
    let values = check_shape(text, first_line)?;
    let Strict(value) = serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let (line, column) = (first_line + error.line().saturating_sub(1), error.column());
        if said.contains(DUPLICATE_KEY) {
            let message = format!("duplicate key in the object that ends at line {line}, column {column}");
            Invalid::new(InvalidCode::JsonDuplicateKey, message)
        } else if said.contains(BAD_NUMBER) || said.contains("number out of range") {
            let message =
                format!("cannot store the number at line {line}, column {column} without changing it; quote it");
            Invalid::new(InvalidCode::NumberOutOfRange, message)
        } else if said.contains("surrogate") || said.contains("end of hex escape") {
            let message =
                format!("unpaired surrogate (\\ud800 to \\udfff) in the string at line {line}, column {column}");
            Invalid::new(InvalidCode::JsonSyntax, message)
        } else {
            Invalid::new(InvalidCode::JsonSyntax, format!("invalid JSON at line {line}, column {column}"))
        }
    })?;
    check_texts(&value, InvalidCode::JsonTooDeep)?;
    Ok((value, values))
}

/// Converts the numbers of a value that was not parsed here to the form that Kubernetes clients send, and limits its
/// depth.
pub(super) fn with_numbers_as_sent(mut value: Value) -> Result<Value, Invalid> {
    check_texts(&value, InvalidCode::YamlTooDeep)?;
    let mut open = vec![&mut value];
    while let Some(value) = open.pop() {
        match value {
            Value::Number(number) if !number.is_i64() => {
                let Kept::Exactly(sent) = keep(&number.to_string()) else {
                    let message = format!("cannot store the number {number} without changing it; make it a string");
                    return Err(Invalid::new(InvalidCode::NumberOutOfRange, message));
                };
                *number = sent;
            }
            Value::Array(items) => open.extend(items),
            Value::Object(map) => open.extend(map.values_mut()),
            _ => {}
        }
    }
    Ok(value)
}

/// Refuses NUL in any key or string, and nesting beyond the limit, without recursion. It builds no paths: for a hostile
/// document they would take more memory than the document.
fn check_texts(value: &Value, too_deep: InvalidCode) -> Result<(), Invalid> {
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
            return Err(Invalid::new(
                InvalidCode::TextContainsNul,
                "a key or string contains the character NUL; remove it",
            ));
        }
    }
    Ok(())
}

fn is_plain(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ambiguous_json_is_refused() {
        for (text, code) in [
            (r#"{"a":1,"a":2}"#, InvalidCode::JsonDuplicateKey),
            (r#"[{"a":{"b":1,"b":1}}]"#, InvalidCode::JsonDuplicateKey),
            ("99999999999999999999999999", InvalidCode::NumberOutOfRange),
            ("1e999", InvalidCode::NumberOutOfRange),
            ("18446744073709551615", InvalidCode::NumberOutOfRange),
            ("9223372036854775808", InvalidCode::NumberOutOfRange),
            ("[1, {\"a\": -9223372036854775809}]", InvalidCode::NumberOutOfRange),
            ("1000000000000000000000000000001", InvalidCode::NumberOutOfRange),
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
        assert!(parse_json(text.as_bytes()).is_ok(), "commas in a string are not values");
        assert!(parse_json(br#"{"a": [1, -5, 0.5, "18446744073709551615", "x", null, true]}"#).is_ok());
    }

    #[test]
    fn numbers_are_read_as_kubernetes_clients_send_them() {
        let text = "[1.0, 1e3, -0, -0.0, 10000000000000000000, 1e21, 0.5, 9223372036854775807, \"1.0\"]";
        let expected = "[1,1000,0,0,1e19,1e21,0.5,9223372036854775807,\"1.0\"]";
        let read = parse_json(text.as_bytes()).expect("numbers");
        assert_eq!(read, serde_json::from_str::<Value>(expected).expect("JSON"));
        let built: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(with_numbers_as_sent(built).expect("numbers"), read);
        let error = parse_json(b"{\n \"a\": 18446744073709551615}").expect_err("too large");
        assert!(error.message.contains("18446744073709551615 at line 2, column 7"), "{}", error.message);
        for refused in [json!({"a": [u64::MAX]}), json!(u64::MAX)] {
            assert_eq!(with_numbers_as_sent(refused).map_err(|it| it.code), Err(InvalidCode::NumberOutOfRange));
        }
    }
}
