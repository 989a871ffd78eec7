//! The label of an agent that names its environment.

use std::collections::BTreeMap;

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::model::{Labels, Name};

/// The label of an agent that names its environment. The broker writes it, so that every selector sees the environment.
pub const ENVIRONMENT_LABEL: &str = "brokkr.io/environment";
/// The prefix of the labels that only the broker writes.
const RESERVED: &str = "brokkr.io/";

/// The labels of an agent: those that a caller chose, and that of its environment.
///
/// # Errors
///
/// [`LabelInvalid`](InvalidCode::LabelInvalid) for a label with the prefix `brokkr.io/`, which callers cannot set, and the errors of
/// [`Labels`].
///
/// ```
/// use std::collections::BTreeMap;
///
/// use brokkr_core::model::{ENVIRONMENT_LABEL, agent_labels};
///
/// let staging = "staging".parse()?;
/// let labels = agent_labels(BTreeMap::from([("site".to_owned(), "edge".to_owned())]), Some(&staging))?;
/// assert_eq!(labels.get(ENVIRONMENT_LABEL), Some("staging"));
/// # Ok::<(), brokkr_core::error::Invalid>(())
/// ```
pub fn agent_labels(mut chosen: BTreeMap<String, String>, environment: Option<&Name>) -> Result<Labels, Invalid> {
    if let Some(key) = chosen.keys().find(|key| key.starts_with(RESERVED)) {
        let message =
            format!("only the broker sets the label \"{}\"; name the environment in its own field", excerpt(key));
        return Err(Invalid::new(InvalidCode::LabelInvalid, message));
    }
    if let Some(environment) = environment {
        chosen.insert(ENVIRONMENT_LABEL.to_owned(), environment.to_string());
    }
    chosen.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_is_named_in_its_own_field() {
        let staging: Name = "staging".parse().expect("a name");
        let map = |key: &str| BTreeMap::from([(key.to_owned(), "edge".to_owned())]);
        for (key, environment, count) in [
            ("site", None, Some(1)),
            ("site", Some(&staging), Some(2)),
            (ENVIRONMENT_LABEL, None, None),
            (ENVIRONMENT_LABEL, Some(&staging), None),
            ("brokkr.io/other", None, None),
            ("example.brokkr.io/other", None, Some(1)),
        ] {
            let labels = agent_labels(map(key), environment).ok();
            assert_eq!(labels.map(|it| it.iter().count()), count, "{key} in {environment:?}");
        }
    }
}
