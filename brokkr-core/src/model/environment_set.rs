//! The environments to which a generator or a key is limited.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode};
use crate::model::{Name, limits};

/// The names of the environments to which a generator or a key is limited: at least one, at most
/// [`ENVIRONMENTS`](limits::ENVIRONMENTS). An agent without an environment is in none.
///
/// ```
/// use brokkr_core::model::EnvironmentSet;
///
/// let set = EnvironmentSet::try_from(vec!["dev".to_owned(), "qa".to_owned()])?;
/// assert!(set.contains(Some(&"dev".parse()?)) && !set.contains(None));
/// # Ok::<(), brokkr_core::error::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<Name>")]
pub struct EnvironmentSet(BTreeSet<Name>);

impl EnvironmentSet {
    /// Whether an agent of this environment is in one of them. `None`: an agent without an environment.
    pub fn contains(&self, environment: Option<&Name>) -> bool {
        environment.is_some_and(|name| self.0.contains(name))
    }

    /// Whether all of the other environments are among these.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }

    /// The names, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }

    /// The environments of both, at most [`ENVIRONMENTS`](limits::ENVIRONMENTS).
    ///
    /// # Errors
    ///
    /// [`FieldInvalid`](InvalidCode::FieldInvalid) for too many.
    pub fn with(&self, other: &Self) -> Result<Self, Invalid> {
        self.0.union(&other.0).cloned().collect::<BTreeSet<_>>().try_into()
    }

    /// The environments in both; `None` if there is none.
    pub fn common(&self, other: &Self) -> Option<Self> {
        self.0.intersection(&other.0).cloned().collect::<BTreeSet<_>>().try_into().ok()
    }
}

impl TryFrom<BTreeSet<Name>> for EnvironmentSet {
    type Error = Invalid;

    fn try_from(names: BTreeSet<Name>) -> Result<Self, Invalid> {
        let refuse = |message: String| Err(Invalid::new(InvalidCode::FieldInvalid, message));
        if names.is_empty() {
            return refuse("no environment; name at least one, or use null for all".to_owned());
        }
        if names.len() > limits::ENVIRONMENTS {
            return refuse(format!("{} environments; at most {} are allowed", names.len(), limits::ENVIRONMENTS));
        }
        Ok(Self(names))
    }
}

impl TryFrom<Vec<String>> for EnvironmentSet {
    type Error = Invalid;

    fn try_from(names: Vec<String>) -> Result<Self, Invalid> {
        let parse = |(n, name): (usize, &String)| name.parse().map_err(|error: Invalid| error.within(&n.to_string()));
        names.iter().enumerate().map(parse).collect::<Result<BTreeSet<Name>, _>>()?.try_into()
    }
}

impl From<EnvironmentSet> for Vec<Name> {
    fn from(set: EnvironmentSet) -> Self {
        set.0.into_iter().collect()
    }
}

impl From<EnvironmentSet> for Vec<String> {
    fn from(set: EnvironmentSet) -> Self {
        set.0.into_iter().map(String::from).collect()
    }
}

/// Whether rows that are limited in one way stay within another limit. `None`: not limited.
pub fn is_within(inner: Option<&EnvironmentSet>, outer: Option<&EnvironmentSet>) -> bool {
    match (inner, outer) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(inner), Some(outer)) => outer.covers(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &str) -> Result<EnvironmentSet, Invalid> {
        words.split_whitespace().map(str::to_owned).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn set_is_neither_empty_nor_large_nor_wrong() {
        let many = |n: usize| (0..n).map(|n| format!("e{n} ")).collect::<String>();
        for (words, pointer) in [
            ("dev", None),
            ("dev dev", None),
            ("", Some("")),
            ("dev Prod", Some("/1")),
            (&many(limits::ENVIRONMENTS), None),
            (&many(limits::ENVIRONMENTS + 1), Some("")),
        ] {
            assert_eq!(set(words).err().map(|it| it.pointer).as_deref(), pointer, "{words}");
        }
    }

    #[test]
    fn nothing_unlimited_is_within_a_limit() {
        let (dev, both) = (set("dev").ok(), set("dev qa").ok());
        for (inner, outer, expected) in [
            (&None, &None, true),
            (&dev, &None, true),
            (&None, &dev, false),
            (&dev, &dev, true),
            (&dev, &both, true),
            (&both, &dev, false),
        ] {
            assert_eq!(is_within(inner.as_ref(), outer.as_ref()), expected, "{inner:?} in {outer:?}");
        }
    }
}
