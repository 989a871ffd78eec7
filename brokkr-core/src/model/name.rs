//! Names of entities.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode, excerpt};

/// The name of a stack, an agent, a generator, an environment or a key: a DNS label (RFC 1123) in lower case,
/// `[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`, at most 63 characters.
///
/// Permissions depend on ids, never on names.
///
/// ```
/// use brokkr_core::model::Name;
///
/// assert!("shop-web".parse::<Name>().is_ok());
/// assert!("Shop".parse::<Name>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if is_dns_label(text) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new(
                InvalidCode::NameInvalid,
                format!(
                    "\"{}\" is not a valid name: use 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends",
                    excerpt(text)
                ),
            ))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a text is a DNS label (RFC 1123) in lower case.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| alphanumeric(b) || *b == b'-')
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
}

/// Whether a text is a DNS subdomain (RFC 1123): labels joined by dots, at most 253 characters.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && !text.is_empty() && text.split('.').all(is_dns_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_is_no_dns_label_is_refused() {
        for good in ["a", "a-b", "0", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a b", "ä", "a\u{200b}", "ａ", &"x".repeat(64), "a\0"] {
            let error = bad.parse::<Name>().expect_err(bad);
            assert_eq!(error.code, InvalidCode::NameInvalid);
        }
    }
}
