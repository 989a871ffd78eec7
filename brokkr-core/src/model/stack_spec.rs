//! What a stack's owner decides about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::labels::{Annotations, Labels};
use super::{Policies, Stack, StackId, TargetingRule, limits, validate_text};
use crate::error::{Invalid, InvalidCode};

/// What a stack should be: everything that its owner decides about it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackSpec {
    /// Its name; never changes.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What agents can share or be selected by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What agents can share.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Who serves it; absent means the default rules.
    #[serde(default)]
    pub targeting: Option<TargetingRule>,
    /// How agents treat its objects.
    #[serde(default)]
    pub policies: Policies,
    /// Stacks that an agent applies before this one.
    #[serde(default)]
    pub depends_on: Vec<StackId>,
}

impl StackSpec {
    /// A stack with this name and the defaults for everything else.
    ///
    /// ```
    /// use brokkr_core::model::StackSpec;
    ///
    /// let spec = StackSpec::named("shop").label("region", "eu").label("tier", "web");
    /// assert_eq!(spec.labels["region"], "eu");
    /// ```
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The same with a description.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// The same with one more label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// The same with one more annotation.
    #[must_use]
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// The same with a targeting rule.
    #[must_use]
    pub fn targeting(self, rule: TargetingRule) -> Self {
        Self { targeting: Some(rule), ..self }
    }

    /// The same with policies.
    #[must_use]
    pub fn policies(self, policies: Policies) -> Self {
        Self { policies, ..self }
    }

    /// The same with one more stack that agents apply before this one.
    #[must_use]
    pub fn depends_on(mut self, stack: StackId) -> Self {
        self.depends_on.push(stack);
        self
    }

    /// Checks the spec and writes everything that may change into the stack.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with a pointer to the field when a value breaks a rule, or when the name differs from the stack's. The stack
    /// may then be written in part; discard it.
    pub fn write_to(self, stack: &mut Stack) -> Result<(), Invalid> {
        if self.name != stack.name.as_str() {
            return Err(Invalid::new(InvalidCode::FieldInvalid, "a stack's name cannot be changed").within("name"));
        }
        validate_text(&self.description, limits::DESCRIPTION_CHARACTERS)
            .map_err(|error| error.within("description"))?;
        if let Some(targeting) = &self.targeting {
            targeting.validate().map_err(|error| error.within("targeting"))?;
        }
        self.policies.validate().map_err(|error| error.within("policies"))?;
        stack.labels = Labels::try_from(self.labels).map_err(|error| error.within("labels"))?;
        stack.annotations = Annotations::try_from(self.annotations).map_err(|error| error.within("annotations"))?;
        stack.description = self.description;
        stack.targeting = self.targeting;
        stack.policies = self.policies;
        stack.depends_on = self.depends_on;
        Ok(())
    }
}

impl From<&Stack> for StackSpec {
    fn from(stack: &Stack) -> Self {
        Self {
            name: stack.name.to_string(),
            description: stack.description.clone(),
            labels: stack.labels.clone().into(),
            annotations: stack.annotations.clone().into(),
            targeting: stack.targeting.clone(),
            policies: stack.policies.clone(),
            depends_on: stack.depends_on.clone(),
        }
    }
}
