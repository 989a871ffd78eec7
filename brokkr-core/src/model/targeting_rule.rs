//! Targeting rules of stacks, as data. [`targeting`](crate::targeting) evaluates them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode};
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

/// Whether equal labels or annotations of stack and agent make a match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SharedKeys {
    /// One pair with equal key and value suffices.
    Any,
    /// The agent must have every pair of the stack. A stack without pairs matches no agent.
    All,
    /// Shared pairs do not count. The default.
    #[default]
    Off,
}

/// Agents that a rule excludes: those that match every given part. At least one part is required.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(min_properties = 1))]
pub struct Exclusion {
    /// Excludes agents that have these labels with these values.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::Labels, required = false))]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Further requirements on the labels of excluded agents.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Requirement>, required = false, max_items = 64))]
    pub match_expressions: Option<Vec<Requirement>>,
    /// Excludes agents that have these annotations with these values.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::Annotations, required = false))]
    pub match_annotations: Option<BTreeMap<String, String>>,
}

/// Refuses null for a part of an exclusion: its meaning, exclude no agent or every agent, would be ambiguous.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The rule that selects agents for a stack, in addition to its direct targets.
///
/// Only the given fields count. The `match_*` fields form one condition, of which all parts must hold. That condition,
/// `shared_labels` and `shared_annotations` are alternatives. A rule without any of them selects only the direct
/// targets.
///
/// ```
/// use brokkr_core::model::{SharedKeys, TargetingRule};
///
/// // Agents that have every label of the stack.
/// let rule = TargetingRule { shared_labels: SharedKeys::All, ..TargetingRule::default() };
/// assert!(rule.validate().is_ok());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetingRule {
    /// Labels that the agent must have with these values. An empty map selects every registered agent. Default: absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::Labels>))]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Further requirements on the agent's labels. Default: absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 64))]
    pub match_expressions: Option<Vec<Requirement>>,
    /// Annotations that the agent must have with these values. Default: absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::model::Annotations>))]
    pub match_annotations: Option<BTreeMap<String, String>>,
    /// Whether labels that stack and agent share make a match. Default: `off`.
    #[serde(default)]
    pub shared_labels: SharedKeys,
    /// Whether annotations that stack and agent share make a match. Default: `off`.
    #[serde(default)]
    pub shared_annotations: SharedKeys,
    /// Agents to exclude. An exclusion overrides every match except a direct target. Default: absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Exclusion>,
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
}

impl TargetingRule {
    /// A rule that selects no agents: only direct targets and the host's own policies decide. The same as the default.
    ///
    /// A stack *without* a rule matches every agent with which it shares a label or an annotation; this rule ends that.
    ///
    /// ```
    /// use brokkr_core::model::{StackSpec, TargetingRule};
    ///
    /// let spec = StackSpec::named("shop").label("region", "eu").targeting(TargetingRule::none());
    /// ```
    pub fn none() -> Self {
        Self::default()
    }

    /// Checks keys, values and sizes.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with a pointer to the field.
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
                "an exclusion needs match_labels, match_expressions or match_annotations",
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
        format!("{count} entries; at most {} are allowed", limits::SELECTOR_TERMS),
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
