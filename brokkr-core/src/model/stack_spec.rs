//! Specifications of stacks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::labels::{Annotations, Labels};
use super::{Policies, ReleaseMode, Stack, StackId, TargetingRule, Timestamp, limits, validate_text};
use crate::error::{Invalid, InvalidCode};

/// The specification of a stack: everything that its owner decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackSpec {
    /// The name, a [`Name`](super::Name). It cannot be changed later.
    pub name: String,
    /// A description for people. Default: empty.
    #[serde(default)]
    pub description: String,
    /// Labels that targeting rules match with an agent's labels. Default: none.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations that targeting rules match with an agent's annotations. Default: none.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The rule that selects the agents. Default: absent; an agent matches if it shares a label or annotation with the
    /// stack.
    #[serde(default)]
    pub targeting: Option<TargetingRule>,
    /// How agents treat its objects.
    #[serde(default)]
    pub policies: Policies,
    /// Stacks that an agent applies before this one. Default: none.
    #[serde(default)]
    pub depends_on: Vec<StackId>,
    /// Whether agents get each revision at once. Default: `immediate`.
    #[serde(default)]
    pub release: ReleaseMode,
    /// Whether the stack cannot be deleted, at its end neither. Default: false.
    #[serde(default)]
    pub deletion_protection: bool,
    /// The time at which the broker deletes the stack. Default: absent; the stack has no end.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl StackSpec {
    /// A specification with this name and the defaults for everything else.
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

    /// Sets the description.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// Adds a label. A label with the same key is replaced.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Adds an annotation. An annotation with the same key is replaced.
    #[must_use]
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Sets the targeting rule. Default: none; an agent matches if it shares a label or annotation with the stack.
    /// [`TargetingRule::none`] ends that and leaves the decision to direct targets and the host's own policies.
    #[must_use]
    pub fn targeting(self, rule: TargetingRule) -> Self {
        Self { targeting: Some(rule), ..self }
    }

    /// Sets the policies.
    #[must_use]
    pub fn policies(self, policies: Policies) -> Self {
        Self { policies, ..self }
    }

    /// Adds a stack that agents apply before this one.
    #[must_use]
    pub fn depends_on(mut self, stack: StackId) -> Self {
        self.depends_on.push(stack);
        self
    }

    /// Sets the time at which the broker deletes the stack.
    #[must_use]
    pub fn expires_at(self, end: Timestamp) -> Self {
        Self { expires_at: Some(end), ..self }
    }

    /// Makes every agent wait until a revision is released in its environment.
    #[must_use]
    pub fn gated(self) -> Self {
        Self { release: ReleaseMode::Gated, ..self }
    }

    /// Validates the specification and copies all mutable fields into `stack`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with a pointer to the field when a value is invalid, or when the name differs from the stack's.
    /// `stack` may then be partly updated; discard it.
    pub fn write_to(self, stack: &mut Stack) -> Result<(), Invalid> {
        if self.name != stack.name.as_str() {
            return Err(Invalid::new(
                InvalidCode::FieldInvalid,
                "the name of a stack cannot be changed; create a stack with the new name",
            )
            .within("name"));
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
        stack.release = self.release;
        stack.deletion_protection = self.deletion_protection;
        if stack.expires_at != self.expires_at {
            stack.expiry_announced_at = None;
        }
        stack.expires_at = self.expires_at;
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
            release: stack.release,
            deletion_protection: stack.deletion_protection,
            expires_at: stack.expires_at,
        }
    }
}
