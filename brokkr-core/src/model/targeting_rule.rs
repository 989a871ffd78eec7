//! Targeting rules of stacks, as data. [`targeting`](crate::targeting) evaluates them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, InvalidCode};
use crate::model::EnvironmentSet;
use crate::model::label_selector::{Requirement, check_count, validate_parts};

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
/// `shared_labels` and `shared_annotations` are alternatives. `environments` limits all of them, and selects every agent of the
/// environments if it stands alone. A rule without any of them selects only the direct targets.
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
    /// The names of the environments of which the agent must be in one, whatever else matches. Without another condition, every
    /// registered agent of them is selected. A direct target overrides it. Default: absent, which does not look at environments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<std::collections::BTreeSet<crate::model::Name>>, min_items = 1, max_items = 64))]
    pub environments: Option<Vec<String>>,
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
        if let Some(names) = &self.environments {
            EnvironmentSet::try_from(names.clone()).map_err(|error| error.within("environments"))?;
        }
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

fn validate_annotations(annotations: Option<&BTreeMap<String, String>>) -> Result<(), Invalid> {
    let Some(annotations) = annotations else {
        return Ok(());
    };
    check_count(annotations.len())
        .and_then(|()| crate::model::Annotations::try_from(annotations.clone()).map(drop))
        .map_err(|error| error.within("match_annotations"))
}
