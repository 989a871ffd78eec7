//! Fields that a stack does not manage after creation.

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::model::limits;

/// Fields that the agent sets when it creates an object and leaves to other managers afterwards. Later differences in
/// these fields are neither drift nor conflict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IgnoreRule {
    /// Limits the rule to this API group. Empty for the core group; absent for all groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::schema::Text>))]
    pub group: Option<String>,
    /// Limits the rule to objects of this kind. Absent for all kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::schema::Text>))]
    pub kind: Option<String>,
    /// Limits the rule to this namespace. Absent for all namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::schema::Text>))]
    pub namespace: Option<String>,
    /// Limits the rule to objects with this name. Absent for all names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::schema::Text>))]
    pub name: Option<String>,
    /// The fields, as JSON pointers (RFC 6901) such as `/spec/replicas`. List indexes refer to the manifest.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::model::schema::FieldPointer>, min_items = 1, max_items = 32))]
    pub pointers: Vec<String>,
}

impl IgnoreRule {
    /// Checks the number and the form of the pointers.
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let invalid = |problem: String| Invalid::new(InvalidCode::PolicyInvalid, problem).within("pointers");
        if self.pointers.is_empty() || self.pointers.len() > limits::IGNORE_RULES {
            return Err(invalid(format!("an ignore rule must have 1 to {} pointers", limits::IGNORE_RULES)));
        }
        for pointer in &self.pointers {
            let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
            if !pointer.starts_with('/')
                || pointer.chars().count() > limits::POINTER_CHARACTERS
                || !escapes
                || pointer.contains('\0')
            {
                return Err(invalid(format!(
                    "\"{}\" is not a JSON pointer (RFC 6901), such as /spec/replicas",
                    excerpt(pointer)
                )));
            }
            let first = pointer.split('/').nth(1).unwrap_or_default();
            let identity = ["/metadata", "/metadata/name", "/metadata/namespace", "/metadata/labels", "/metadata/uid"];
            let own_labels = ["/metadata/labels/brokkr.io", "/metadata/labels/applyset.kubernetes.io"];
            let is_own_label = own_labels.iter().any(|it| pointer.starts_with(it));
            if matches!(first, "apiVersion" | "kind") || identity.contains(&pointer.as_str()) || is_own_label {
                return Err(invalid(format!("\"{}\" identifies the object and cannot be ignored", excerpt(pointer))));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_or_identifying_pointer_is_refused() {
        let rule = |pointer: &str| IgnoreRule { pointers: vec![pointer.to_owned()], ..IgnoreRule::default() };
        for right in
            ["/spec/replicas", "/metadata/annotations/a~1b", "/spec/template/spec/containers/0/image", "/data/a~0"]
        {
            assert!(rule(right).validate().is_ok(), "{right}");
        }
        let invalid = [
            "",
            "spec",
            "/spec/~2",
            "/spec/~",
            "/kind",
            "/metadata",
            "/metadata/labels",
            "/metadata/labels/brokkr.io~1stack",
        ];
        for invalid in invalid {
            assert!(rule(invalid).validate().is_err(), "{invalid}");
        }
        assert!(IgnoreRule::default().validate().is_err());
        assert!(rule(&format!("/{}", "x".repeat(limits::POINTER_CHARACTERS - 1))).validate().is_ok());
        assert!(rule(&format!("/{}", "x".repeat(limits::POINTER_CHARACTERS))).validate().is_err());
    }
}
