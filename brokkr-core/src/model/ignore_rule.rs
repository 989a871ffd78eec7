//! Fields that a stack leaves to others.

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::model::limits;

/// Fields of some of a stack's objects that are set when an object is created and left to others from then on: what they
/// are later is neither drift nor conflict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IgnoreRule {
    /// Only objects of this API group; empty for the core group, absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::schema::Text>))]
    pub group: Option<String>,
    /// Only objects of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::schema::Text>))]
    pub kind: Option<String>,
    /// Only objects in this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::schema::Text>))]
    pub namespace: Option<String>,
    /// Only the object of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::schema::Text>))]
    pub name: Option<String>,
    /// The fields, as JSON pointers (RFC 6901), such as `/spec/replicas`. Elements of lists are counted as in the manifest.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::model::schema::FieldPointer>, min_items = 1, max_items = 32))]
    pub pointers: Vec<String>,
}

impl IgnoreRule {
    /// Checks what types cannot express.
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let invalid = |problem: String| Invalid::new(InvalidCode::PolicyInvalid, problem).within("pointers");
        if self.pointers.is_empty() || self.pointers.len() > limits::IGNORE_RULES {
            return Err(invalid(format!("must be between 1 and {} pointers", limits::IGNORE_RULES)));
        }
        for pointer in &self.pointers {
            let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
            if !pointer.starts_with('/')
                || pointer.chars().count() > limits::POINTER_CHARACTERS
                || !escapes
                || pointer.contains('\0')
            {
                return Err(invalid(format!("\"{}\" is not a JSON pointer (RFC 6901)", excerpt(pointer))));
            }
            let first = pointer.split('/').nth(1).unwrap_or_default();
            let owned = ["/metadata", "/metadata/name", "/metadata/namespace", "/metadata/labels", "/metadata/uid"];
            let is_ours = ["/metadata/labels/brokkr.io", "/metadata/labels/applyset.kubernetes.io"];
            let is_ours = is_ours.iter().any(|it| pointer.starts_with(it));
            if matches!(first, "apiVersion" | "kind") || owned.contains(&pointer.as_str()) || is_ours {
                return Err(invalid(format!(
                    "\"{}\" says what the object is, and cannot be left to others",
                    excerpt(pointer)
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_checked() {
        let rule = |pointer: &str| IgnoreRule { pointers: vec![pointer.to_owned()], ..IgnoreRule::default() };
        for right in
            ["/spec/replicas", "/metadata/annotations/a~1b", "/spec/template/spec/containers/0/image", "/data/a~0"]
        {
            assert!(rule(right).validate().is_ok(), "{right}");
        }
        let wrong = [
            "",
            "spec",
            "/spec/~2",
            "/spec/~",
            "/kind",
            "/metadata",
            "/metadata/labels",
            "/metadata/labels/brokkr.io~1stack",
        ];
        for wrong in wrong {
            assert!(rule(wrong).validate().is_err(), "{wrong}");
        }
        assert!(IgnoreRule::default().validate().is_err());
        assert!(rule(&format!("/{}", "x".repeat(limits::POINTER_CHARACTERS - 1))).validate().is_ok());
        assert!(rule(&format!("/{}", "x".repeat(limits::POINTER_CHARACTERS))).validate().is_err());
    }
}
