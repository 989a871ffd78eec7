//! The targeting rule of a stack, as data. What it means stands in [`targeting`](crate::targeting).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode};
use crate::model::{limits, validate_label_key, validate_label_value};

/// How a requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Operator {
    /// The key is there with one of the values.
    In,
    /// The key is absent, or has none of the values.
    NotIn,
    /// The key is there.
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
    /// How to compare.
    pub operator: Operator,
    /// With what: at least one for `In` and `NotIn`, none for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// A label selector with the semantics of Kubernetes: all requirements must hold; the empty one selects
/// everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelSelector {
    /// Keys that must have these values.
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    pub match_expressions: Vec<Requirement>,
}

/// Whether shared labels or annotations make a match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SharedKeys {
    /// One equal key and value is enough.
    Any,
    /// Every one of the stack's must be on the agent; a stack without any matches nobody.
    All,
    /// They do not count.
    #[default]
    Off,
}

/// Agents that a rule leaves out: those that fit every part given. At least one part is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(min_properties = 1))]
pub struct Exclusion {
    /// Labels with these values.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::Labels, required = false))]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Further requirements on labels.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Requirement>, required = false, max_items = 64))]
    pub match_expressions: Option<Vec<Requirement>>,
    /// Annotations with these values.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::Annotations, required = false))]
    pub match_annotations: Option<BTreeMap<String, String>>,
}

/// A part of an exclusion that is named is not null: it would exclude nobody, or everybody.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Who serves a stack, beside its direct targets.
///
/// Only what is named counts. `match_*` together are one condition (all must hold); it, `shared_labels`
/// and `shared_annotations` are alternatives. A rule that names none of them leaves the direct targets only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetingRule {
    /// Labels that the agent must have with these values. An empty map selects every registered agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::Labels>))]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Further requirements on the agent's labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 64))]
    pub match_expressions: Option<Vec<Requirement>>,
    /// Annotations that the agent must have with these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::Annotations>))]
    pub match_annotations: Option<BTreeMap<String, String>>,
    /// Labels that stack and agent share.
    #[serde(default)]
    pub shared_labels: SharedKeys,
    /// Annotations that stack and agent share.
    #[serde(default)]
    pub shared_annotations: SharedKeys,
    /// Agents left out; wins over everything but a direct target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Exclusion>,
}

impl LabelSelector {
    /// Checks what the Kubernetes API server checks.
    pub fn validate(&self) -> Result<(), Invalid> {
        validate_parts(Some(&self.match_labels), Some(&self.match_expressions))
    }
}

impl TargetingRule {
    /// Checks keys, values and sizes.
    pub fn validate(&self) -> Result<(), Invalid> {
        validate_parts(self.match_labels.as_ref(), self.match_expressions.as_deref())?;
        validate_annotations(self.match_annotations.as_ref())?;
        if let Some(exclude) = &self.exclude {
            exclude.validate().map_err(|error| error.within("exclude"))?;
        }
        Ok(())
    }
}

impl Exclusion {
    fn validate(&self) -> Result<(), Invalid> {
        if self.match_labels.is_none() && self.match_expressions.is_none() && self.match_annotations.is_none() {
            return Err(Invalid::new(
                InvalidCode::SelectorInvalid,
                "an exclusion names match_labels, match_expressions or match_annotations",
            ));
        }
        validate_parts(self.match_labels.as_ref(), self.match_expressions.as_deref())?;
        validate_annotations(self.match_annotations.as_ref())
    }
}

fn validate_parts(
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

fn validate_annotations(annotations: Option<&BTreeMap<String, String>>) -> Result<(), Invalid> {
    let Some(annotations) = annotations else {
        return Ok(());
    };
    check_count(annotations.len())
        .and_then(|()| crate::model::Annotations::try_from(annotations.clone()).map(drop))
        .map_err(|error| error.within("match_annotations"))
}

fn check_count(count: usize) -> Result<(), Invalid> {
    if count <= limits::SELECTOR_TERMS {
        return Ok(());
    }
    Err(Invalid::new(
        InvalidCode::SelectorInvalid,
        format!("{count} entries, at most {} are allowed", limits::SELECTOR_TERMS),
    ))
}

impl Requirement {
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
