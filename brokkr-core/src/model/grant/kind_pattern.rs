//! Patterns of kinds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::name::is_dns_subdomain;

/// Maximum length of a pattern: one character, a dot and the longest group.
pub(crate) const LENGTH: usize = 255;

/// A pattern of kinds: `Deployment.apps`, `ConfigMap` (core group), `*.apps` (a whole group), or `*` (all kinds).
///
/// ```
/// use brokkr_core::model::KindPattern;
///
/// let pattern: KindPattern = "*.apps".parse()?;
/// assert!(pattern.matches("apps", "Deployment") && !pattern.matches("", "ConfigMap"));
/// # Ok::<_, brokkr_core::model::NotAPattern>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KindPattern {
    /// `None` matches every kind.
    kind: Option<String>,
    /// `None` matches every group.
    group: Option<String>,
}

/// The error of parsing an invalid [`KindPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid kind pattern \"{0}\"; write Kind for the core group, Kind.group, *.group, or * for all")]
pub struct NotAPattern(String);

impl KindPattern {
    /// The pattern that matches every kind.
    pub const ALL: Self = Self { kind: None, group: None };

    /// Whether the pattern matches a kind. Like Kubernetes, it distinguishes upper from lower case.
    pub fn matches(&self, group: &str, kind: &str) -> bool {
        self.kind.as_deref().is_none_or(|it| it == kind) && self.group.as_deref().is_none_or(|it| it == group)
    }
}

impl FromStr for KindPattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self::ALL);
        }
        let (kind, group) = text.split_once('.').map_or((text, None), |(kind, group)| (kind, Some(group)));
        let is_kind = (1..=63).contains(&kind.len()) && kind.bytes().all(|it| it.is_ascii_alphanumeric());
        if text.len() > LENGTH || !(kind == "*" || is_kind) || !group.is_none_or(is_dns_subdomain) {
            return Err(NotAPattern(text.chars().take(64).collect()));
        }
        let group = group.unwrap_or_default().to_owned();
        Ok(Self { kind: (kind != "*").then(|| kind.to_owned()), group: Some(group) })
    }
}

impl fmt::Display for KindPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_deref().unwrap_or("*"))?;
        match self.group.as_deref() {
            None | Some("") => Ok(()),
            Some(group) => write!(f, ".{group}"),
        }
    }
}

impl Serialize for KindPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KindPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_kind_and_group() {
        for (pattern, expected) in [
            ("*", [true, true, true]),
            ("Deployment.apps", [true, false, false]),
            ("*.apps", [true, false, false]),
            ("Deployment", [false, false, false]),
            ("ConfigMap", [false, true, false]),
            ("configmap", [false, false, false]),
            ("*.k8s.io", [false, false, false]),
            ("Lease.coordination.k8s.io", [false, false, true]),
        ] {
            let parsed: KindPattern = pattern.parse().expect("a pattern");
            let kinds = [("apps", "Deployment"), ("", "ConfigMap"), ("coordination.k8s.io", "Lease")];
            assert_eq!(kinds.map(|(group, kind)| parsed.matches(group, kind)), expected, "{pattern}");
            assert_eq!(parsed.to_string(), pattern);
        }
        for invalid in ["", ".", "a.", "a b", "*.a b", "Deploy*", "**", " ConfigMap", "a..b", "*.Apps"] {
            assert!(invalid.parse::<KindPattern>().is_err(), "{invalid}");
        }
    }
}
