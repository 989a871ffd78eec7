//! Reading a response of which a field must exist.

use serde_json::Value;

use crate::{Error, Result};

/// Returns the text at a JSON pointer, such as `/agent/id`.
///
/// A missing field is an error rather than an empty text: an empty id or key would make a check test something else.
pub fn text_at<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Error::new(format!("no text at {pointer} in {value}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_and_empty_fields_are_errors() {
        let value = json!({"agent": {"id": "a", "name": "", "count": 1}});
        assert!(matches!(text_at(&value, "/agent/id"), Ok("a")));
        for missing in ["/agent/name", "/agent/count", "/agent/pak", "/pak"] {
            assert!(text_at(&value, missing).is_err(), "{missing}");
        }
    }
}
