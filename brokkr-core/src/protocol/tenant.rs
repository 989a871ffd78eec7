//! Generators in target states.

use serde::{Deserialize, Serialize};

use crate::model::{GeneratorId, GrantRules};

/// A generator whose stacks a target state contains, with what its registration with the agent grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tenant {
    /// The generator.
    pub generator_id: GeneratorId,
    /// The name of the generator, which the patterns of namespaces refer to.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::Name))]
    pub name: String,
    /// What the generator's stacks may contain.
    pub rules: GrantRules,
}

impl Tenant {
    /// The system generator, whose stacks may contain everything.
    pub fn system() -> Self {
        Self { generator_id: GeneratorId::SYSTEM, name: "system".to_owned(), rules: GrantRules::unrestricted() }
    }

    /// A generator whose stacks may contain nothing. `name`: empty if it is not known.
    pub fn without_grant(generator_id: GeneratorId, name: impl Into<String>) -> Self {
        Self { generator_id, name: name.into(), rules: GrantRules::nothing() }
    }
}
