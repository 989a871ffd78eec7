//! Label selectors: as data, their text form, and how they match.
//!
//! All follow Kubernetes: an absent key satisfies `NotIn`, `!=` and `DoesNotExist`; the empty selector
//! selects everything. The text form is that of `kubectl -l`:
//! `a=b,c==d,e!=f,g in (x,y),h notin (z),i,!j`.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::model::{limits, validate_label_key, validate_label_value};

/// The comparison of a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Operator {
    /// The key is present with one of the values.
    In,
    /// The key is absent, or has none of the values.
    NotIn,
    /// The key is present.
    Exists,
    /// The key is absent.
    DoesNotExist,
}

/// One requirement of a selector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// The comparison.
    pub operator: Operator,
    /// The values to compare with: at least one for `In` and `NotIn`, none for `Exists` and `DoesNotExist`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// A label selector as in Kubernetes: all requirements must hold. The default, an empty selector, selects everything.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use brokkr_core::model::LabelSelector;
///
/// let selector: LabelSelector = "env=prod,tier in (web,api),!legacy".parse()?;
/// let labels = BTreeMap::from([("env", "prod"), ("tier", "web")].map(|(k, v)| (k.to_owned(), v.to_owned())));
/// assert!(selector.matches(&labels));
/// # Ok::<(), brokkr_core::error::Invalid>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelSelector {
    /// Labels that must be present with these values.
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    pub match_expressions: Vec<Requirement>,
}

impl LabelSelector {
    /// Checks keys, values and sizes, as the Kubernetes API server does.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with a pointer to the field.
    pub fn validate(&self) -> Result<(), Invalid> {
        validate_parts(Some(&self.match_labels), Some(&self.match_expressions))
    }

    /// Whether the labels meet all requirements of the selector.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    /// Whether the labels meet the requirement.
    pub(crate) fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        validate_label_key(&self.key).map_err(|error| error.within("key"))?;
        check_count(self.values.len()).map_err(|error| error.within("values"))?;
        let wants_values = matches!(self.operator, Operator::In | Operator::NotIn);
        if wants_values == self.values.is_empty() {
            let message = if wants_values {
                "In and NotIn need at least one value"
            } else {
                "Exists and DoesNotExist take no values"
            };
            return Err(Invalid::new(InvalidCode::SelectorInvalid, message).within("values"));
        }
        for (n, value) in self.values.iter().enumerate() {
            validate_label_value(value).map_err(|error| error.within(&n.to_string()).within("values"))?;
        }
        Ok(())
    }
}

/// Checks the parts of a selector: keys, values and sizes.
pub(super) fn validate_parts(
    labels: Option<&BTreeMap<String, String>>,
    expressions: Option<&[Requirement]>,
) -> Result<(), Invalid> {
    let in_labels = |error: Invalid| error.within("match_labels");
    if let Some(labels) = labels {
        check_count(labels.len()).map_err(in_labels)?;
        for (key, value) in labels {
            validate_label_key(key).map_err(in_labels)?;
            validate_label_value(value).map_err(|error| error.within(key)).map_err(in_labels)?;
        }
    }
    let expressions = expressions.unwrap_or_default();
    check_count(expressions.len()).map_err(|error| error.within("match_expressions"))?;
    for (n, requirement) in expressions.iter().enumerate() {
        requirement.validate().map_err(|error| error.within(&n.to_string()).within("match_expressions"))?;
    }
    Ok(())
}

/// Checks the number of entries of one part.
pub(super) fn check_count(count: usize) -> Result<(), Invalid> {
    if count <= limits::SELECTOR_TERMS {
        return Ok(());
    }
    Err(Invalid::new(
        InvalidCode::SelectorInvalid,
        format!("{count} entries; at most {} are allowed", limits::SELECTOR_TERMS),
    ))
}

fn malformed(text: &str) -> Invalid {
    Invalid::new(
        InvalidCode::SelectorInvalid,
        format!("\"{}\" is not a valid label selector; expected terms such as a=b,c!=d,e in (x,y),!f", excerpt(text)),
    )
}

impl FromStr for LabelSelector {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() > limits::SELECTOR_TERMS * 400 {
            return Err(Invalid::new(InvalidCode::SelectorInvalid, "the label selector is too long; use fewer terms"));
        }
        let mut selector = Self::default();
        if text.trim().is_empty() {
            return Ok(selector);
        }
        for term in split_terms(text)? {
            selector.match_expressions.push(parse_term(term.trim())?);
        }
        selector.validate()?;
        Ok(selector)
    }
}

/// Splits the selector at commas outside of parentheses.
fn split_terms(text: &str) -> Result<Vec<&str>, Invalid> {
    let mut terms = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' if inside => return Err(malformed(text)),
            '(' => inside = true,
            ')' if !inside => return Err(malformed(text)),
            ')' => inside = false,
            ',' if !inside => {
                terms.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(malformed(text));
    }
    terms.push(text.get(start..).unwrap_or_default());
    Ok(terms)
}

fn parse_term(term: &str) -> Result<Requirement, Invalid> {
    let requirement = |key: &str, operator, values| Requirement { key: key.trim().to_owned(), operator, values };
    if let Some(head) = term.strip_suffix(')') {
        let (head, values) = head.split_once('(').ok_or_else(|| malformed(term))?;
        let (key, word) = head.trim().rsplit_once(char::is_whitespace).ok_or_else(|| malformed(term))?;
        let operator = match word {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            _ => return Err(malformed(term)),
        };
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        return Ok(requirement(key, operator, values));
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Ok(requirement(key, Operator::NotIn, vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(requirement(key, Operator::In, vec![value.trim().to_owned()]));
    }
    match term.strip_prefix('!') {
        Some(key) => Ok(requirement(key, Operator::DoesNotExist, Vec::new())),
        None => Ok(requirement(term, Operator::Exists, Vec::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_parse_and_match_as_in_kubectl() {
        let labels: BTreeMap<String, String> =
            [("env", "prod"), ("tier", ""), ("app.io/name", "web")].map(|(k, v)| (k.into(), v.into())).into();
        for (text, expected) in [
            ("", true),
            ("env=prod", true),
            ("env==prod,tier", true),
            ("env != dev", true),
            ("absent!=x", true),
            ("env in (dev, prod)", true),
            ("env notin (dev,test),!absent", true),
            ("absent notin (x)", true),
            ("app.io/name=web", true),
            ("tier=", true),
            ("env=dev", false),
            ("!env", false),
            ("absent", false),
            ("env in (dev)", false),
        ] {
            let selector: LabelSelector = text.parse().expect(text);
            assert_eq!(selector.matches(&labels), expected, "{text}");
        }
        for text in ["env in prod", "env in (", "a=b)", "((", ",", "a,,b", "a b", "-a=b", "a=b c", "in (a)", "a=%"] {
            assert!(text.parse::<LabelSelector>().is_err(), "{text}");
        }
    }
}
