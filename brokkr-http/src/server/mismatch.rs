//! How a value differs from the type that it should have.

use std::fmt::{self, Display};

use serde::de::{Error, Expected, Unexpected};

/// The expectation when no other words fit.
const DOCUMENT: &str = "a value that matches the OpenAPI document";

/// The error of a deserializer, by meaning rather than in serde's wording.
#[derive(Debug)]
pub(super) enum Mismatch {
    /// The object has a field that the type lacks.
    UnknownField(String),
    /// The object lacks this field.
    MissingField(&'static str),
    /// The value is not this, in the API's words.
    Expected(String),
}

impl Error for Mismatch {
    fn custom<T: Display>(_: T) -> Self {
        Self::Expected(DOCUMENT.to_owned())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Expected(in_words(&expected.to_string()).unwrap_or(DOCUMENT).to_owned())
    }

    /// The text of a value's own type, such as an id, is for callers.
    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        Self::Expected(in_words(&expected).map_or(expected, str::to_owned))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Expected(format!("one of: {}", expected.join(", ")))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::UnknownField(field.to_owned())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::MissingField(field)
    }
}

impl std::error::Error for Mismatch {}

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField(field) => write!(f, "unknown field \"{field}\""),
            Self::MissingField(field) => write!(f, "missing field \"{field}\""),
            Self::Expected(what) => write!(f, "expected {what}"),
        }
    }
}

/// serde's name of a type in the API's words; `None` if the text is not serde's.
fn in_words(expected: &str) -> Option<&'static str> {
    Some(match expected {
        "a string" | "string" | "a borrowed string" => "a string",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or greater",
        "i8" | "i16" | "i32" | "i64" | "isize" => DOCUMENT,
        _ if expected.starts_with("variant index ") => DOCUMENT,
        "a sequence" => "a list",
        "a map" => "an object",
        _ if expected.starts_with("struct ") => "an object",
        _ => return None,
    })
}
