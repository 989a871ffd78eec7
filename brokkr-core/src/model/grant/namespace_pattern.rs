//! Patterns of namespaces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::name::is_dns_label;

/// Stands for the name of the generator.
const GENERATOR: &str = "{generator}";

/// A pattern of namespaces: `shop`, `shop-*` (a prefix), or `*` (all). `{generator}` at the beginning stands for the
/// generator's name: `{generator}-*`.
///
/// ```
/// use brokkr_core::model::NamespacePattern;
///
/// let pattern: NamespacePattern = "{generator}-*".parse()?;
/// assert!(pattern.matches("shop", "shop-jobs") && !pattern.matches("shop", "shopping"));
/// # Ok::<_, brokkr_core::model::NotANamespacePattern>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamespacePattern(String);

/// The error of parsing an invalid [`NamespacePattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid namespace pattern \"{0}\"; write a namespace, a prefix with * at its end, or * for all; {{generator}} at the beginning stands for the generator's name"
)]
pub struct NotANamespacePattern(String);

impl NamespacePattern {
    /// The pattern that matches every namespace.
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// Whether the pattern begins with `{generator}`, so that no admin has named the namespaces that it matches.
    pub fn is_of_generator(&self) -> bool {
        self.0.starts_with(GENERATOR)
    }

    /// Whether the pattern of a generator matches a namespace.
    pub fn matches(&self, generator: &str, namespace: &str) -> bool {
        let rest = match self.0.strip_prefix(GENERATOR) {
            None => Some((self.0.as_str(), namespace)),
            Some(pattern) => namespace.strip_prefix(generator).map(|namespace| (pattern, namespace)),
        };
        rest.is_some_and(|(pattern, namespace)| match pattern.strip_suffix('*') {
            Some(prefix) => namespace.starts_with(prefix),
            None => namespace == pattern,
        })
    }
}

impl FromStr for NamespacePattern {
    type Err = NotANamespacePattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Any name does for the syntax.
        let sample = text.strip_prefix(GENERATOR).map_or_else(|| text.to_owned(), |rest| format!("g{rest}"));
        let is_valid = match sample.strip_suffix('*') {
            Some("") => true,
            // A prefix may end with a hyphen.
            Some(prefix) => is_dns_label(&format!("{prefix}0")),
            None => is_dns_label(&sample),
        };
        if is_valid { Ok(Self(text.to_owned())) } else { Err(NotANamespacePattern(text.chars().take(64).collect())) }
    }
}

impl fmt::Display for NamespacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for NamespacePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NamespacePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_and_prefixes() {
        for (pattern, matching, others) in [
            ("*", &["shop", "kube-system"][..], &[][..]),
            ("shop", &["shop"], &["shop-jobs", "sho", "Shop", ""]),
            ("team-*", &["team-a", "team-"], &["team", "teams"]),
            ("{generator}", &["shop"], &["shop-jobs", "{generator}"]),
            ("{generator}-*", &["shop-jobs", "shop-"], &["shop", "shopping"]),
            ("{generator}-dev", &["shop-dev"], &["shop", "shop-devel"]),
            ("{generator}*", &["shop", "shopping"], &["sho"]),
        ] {
            let parsed: NamespacePattern = pattern.parse().expect("a pattern");
            assert!(matching.iter().all(|it| parsed.matches("shop", it)), "{pattern}");
            assert!(others.iter().all(|it| !parsed.matches("shop", it)), "{pattern}");
            assert_eq!(parsed.to_string(), pattern);
        }
        for invalid in
            ["", "**", "*-a", "a*b", "Shop", "shop.a", "{generator", "x{generator}", "{generator}{generator}", "-*"]
        {
            assert!(invalid.parse::<NamespacePattern>().is_err(), "{invalid}");
        }
    }
}
