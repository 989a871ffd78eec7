//! Stacks for tests.

use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::{GeneratorId, Stack, StackId, StackPhase, StackSpec, TargetingRule, Version};

/// Builds a [`Stack`] of the system generator: active, without labels or a targeting rule.
///
/// ```
/// use brokkr::testing::stack;
///
/// let shop = stack("shop").label("region", "eu").build();
/// assert_eq!(shop.labels.get("region"), Some("eu"));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct StackBuilder {
    spec: StackSpec,
    owner: GeneratorId,
}

/// Starts building a stack with this name.
pub fn stack(name: impl Into<String>) -> StackBuilder {
    StackBuilder { spec: StackSpec::named(name), owner: GeneratorId::SYSTEM }
}

impl StackBuilder {
    /// Adds a label.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.labels.insert(key.into(), value.into());
        self
    }

    /// Adds an annotation.
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.annotations.insert(key.into(), value.into());
        self
    }

    /// Sets the stack's targeting rule. Default: none.
    pub fn targeting(mut self, rule: TargetingRule) -> Self {
        self.spec.targeting = Some(rule);
        self
    }

    /// Sets the generator that owns the stack. Default: the system generator.
    pub fn owned_by(mut self, generator: GeneratorId) -> Self {
        self.owner = generator;
        self
    }

    /// Builds the stack.
    ///
    /// # Panics
    ///
    /// Panics if the name, a label or an annotation is invalid.
    #[must_use]
    pub fn build(self) -> Stack {
        let now = SystemClock.now();
        let StackSpec { name, description, labels, annotations, targeting, policies, depends_on, .. } =
            self.spec.clone();
        Stack {
            id: StackId::generate(),
            generator_id: self.owner,
            name: name.parse().expect("the stack's name should be valid"),
            description,
            labels: labels.try_into().expect("the stack's labels should be valid"),
            annotations: annotations.try_into().expect("the stack's annotations should be valid"),
            targeting,
            policies,
            depends_on,
            release: self.spec.release,
            suspended: None,
            deletion_protection: self.spec.deletion_protection,
            expires_at: self.spec.expires_at,
            expiry_announced_at: None,
            phase: StackPhase::Active,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }
}
