//! Labels and annotations in the grammar of Kubernetes.
//!
//! See <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::model::limits;
use crate::model::name::is_dns_subdomain;

/// Labels: short key–value pairs that selectors match, at most [`LABELS`](limits::LABELS).
///
/// ```
/// use std::collections::BTreeMap;
///
/// use brokkr_core::model::Labels;
///
/// let labels = Labels::try_from(BTreeMap::from([("env".to_owned(), "prod".to_owned())]))?;
/// assert_eq!(labels.get("env"), Some("prod"));
/// # Ok::<(), brokkr_core::error::Invalid>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(BTreeMap<String, String>);

/// Annotations: key–value pairs whose values may be long. Rules match them by equal key and value only. At most
/// [`ANNOTATION_BYTES`](limits::ANNOTATION_BYTES) together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Annotations(BTreeMap<String, String>);

macro_rules! map_access {
    ($name:ident) => {
        impl $name {
            /// The value of a key, if present.
            pub fn get(&self, key: &str) -> Option<&str> {
                self.0.get(key).map(String::as_str)
            }

            /// All pairs, ordered by key.
            pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
                self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
            }

            /// The underlying map.
            pub fn as_map(&self) -> &BTreeMap<String, String> {
                &self.0
            }

            /// Whether the map has no entries.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<$name> for BTreeMap<String, String> {
            fn from(map: $name) -> Self {
                map.0
            }
        }
    };
}

map_access!(Labels);
map_access!(Annotations);

impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = Invalid;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self, Invalid> {
        check_count(map.len())?;
        for (key, value) in &map {
            validate_label_key(key)?;
            validate_label_value(value).map_err(|error| error.within(key))?;
        }
        Ok(Self(map))
    }
}

impl TryFrom<BTreeMap<String, String>> for Annotations {
    type Error = Invalid;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self, Invalid> {
        check_count(map.len())?;
        let mut bytes = 0;
        for (key, value) in &map {
            if !is_qualified_name(key) {
                return Err(Invalid::new(
                    InvalidCode::AnnotationInvalid,
                    format!(
                        "\"{}\" is not a valid annotation key; expected [domain/]name as in Kubernetes",
                        excerpt(key)
                    ),
                ));
            }
            if value.contains('\0') {
                return Err(Invalid::new(InvalidCode::TextContainsNul, "the value contains NUL").within(key));
            }
            bytes += key.len() + value.len();
        }
        if bytes > limits::ANNOTATION_BYTES {
            return Err(Invalid::new(
                InvalidCode::AnnotationInvalid,
                format!(
                    "the annotations have {bytes} bytes together; at most {} are allowed",
                    limits::ANNOTATION_BYTES
                ),
            ));
        }
        Ok(Self(map))
    }
}

fn check_count(count: usize) -> Result<(), Invalid> {
    if count > limits::LABELS {
        return Err(Invalid::new(
            InvalidCode::TooManyLabels,
            format!("{count} entries; at most {} are allowed", limits::LABELS),
        ));
    }
    Ok(())
}

/// Checks a label's key: an optional DNS subdomain and `/`, then a name of at most 63 characters.
///
/// # Errors
///
/// [`LabelInvalid`](InvalidCode::LabelInvalid).
pub fn validate_label_key(key: &str) -> Result<(), Invalid> {
    if is_qualified_name(key) {
        return Ok(());
    }
    Err(Invalid::new(
        InvalidCode::LabelInvalid,
        format!("\"{}\" is not a valid label key; expected [domain/]name as in Kubernetes", excerpt(key)),
    ))
}

/// Checks a label's value: empty, or at most 63 of `[-A-Za-z0-9_.]`, alphanumeric at both ends.
///
/// # Errors
///
/// [`LabelInvalid`](InvalidCode::LabelInvalid).
pub fn validate_label_value(value: &str) -> Result<(), Invalid> {
    if value.is_empty() || is_name_part(value) {
        return Ok(());
    }
    Err(Invalid::new(
        InvalidCode::LabelInvalid,
        format!(
            "\"{}\" is not a valid label value; use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
            excerpt(value)
        ),
    ))
}

fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_name_part(name),
        None => is_name_part(key),
    }
}

fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn labels_follow_the_kubernetes_grammar() {
        for (key, value) in [("a", ""), ("app.kubernetes.io/name", "x"), ("A_b.c", "v1.2_3"), ("x", &"v".repeat(63))] {
            assert!(Labels::try_from(one(key, value)).is_ok(), "{key}={value}");
        }
        for (key, value) in [
            ("", "x"),
            ("/a", "x"),
            ("a/", "x"),
            ("a/b/c", "x"),
            ("A.b/c", "x"),
            ("a b", "x"),
            ("a", "-"),
            ("a", "ä"),
            ("a", "x y"),
        ] {
            assert!(Labels::try_from(one(key, value)).is_err(), "{key}={value}");
        }
        assert!(Labels::try_from(one("a", &"v".repeat(64))).is_err());
        assert!(Annotations::try_from(one("a", "any text, even ä")).is_ok());
        assert!(Annotations::try_from(one("a", "\0")).is_err());
    }

    #[test]
    fn too_many_labels_or_too_large_annotations_are_refused() {
        let many = |n: usize| (0..n).map(|i| (format!("k{i}"), String::new())).collect::<BTreeMap<_, _>>();
        assert!(Labels::try_from(many(limits::LABELS)).is_ok());
        assert_eq!(Labels::try_from(many(limits::LABELS + 1)).map_err(|e| e.code), Err(InvalidCode::TooManyLabels));
        assert!(Annotations::try_from(one("a", &"v".repeat(limits::ANNOTATION_BYTES - 1))).is_ok());
        assert!(Annotations::try_from(one("a", &"v".repeat(limits::ANNOTATION_BYTES))).is_err());
    }
}
