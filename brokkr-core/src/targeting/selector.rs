//! Evaluation and parsing of label selectors.
//!
//! Both follow Kubernetes: an absent key satisfies `NotIn`, `!=` and `DoesNotExist`; the empty selector
//! selects everything. The text form is that of `kubectl -l`:
//! `a=b,c==d,e!=f,g in (x,y),h notin (z),i,!j`.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::{Invalid, InvalidCode, excerpt};
use crate::model::{LabelSelector, Operator, Requirement, limits};

pub(super) fn requirement_holds(requirement: &Requirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    match requirement.operator {
        Operator::In => value.is_some_and(|value| requirement.values.contains(value)),
        Operator::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
    }
}

impl LabelSelector {
    /// Whether the labels meet all requirements of the selector.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement_holds(requirement, labels))
    }
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
