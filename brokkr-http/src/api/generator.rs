//! Generators.

use brokkr_core::model::schema::Description;
use brokkr_core::model::{GeneratorId, GeneratorPrincipal, Name, Timestamp, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::FirstKey;

/// A principal that creates stacks and owns them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Generator {
    /// Identity.
    pub id: GeneratorId,
    /// Unique among generators.
    #[schema(value_type = Name)]
    pub name: String,
    /// A description for readers.
    #[schema(value_type = Description)]
    pub description: String,
    /// The environments to which the generator is limited: its stacks reach no agent outside of them. Null: all agents.
    #[schema(value_type = Option<std::collections::BTreeSet<Name>>)]
    pub environments: Option<Vec<String>>,
    /// Increases with every change. Also the ETag.
    pub version: Version,
    /// Creation time, by the broker's clock.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Request body that creates a generator.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "ci", "description": "Preview environments"})))]
pub struct CreateGenerator {
    /// A DNS label, unique among generators.
    #[schema(value_type = Name)]
    pub name: String,
    /// A description for readers. Default: empty.
    #[serde(default)]
    #[schema(value_type = Description)]
    pub description: String,
    /// The names of existing environments to which the generator is limited: its stacks reach no agent outside of them. Default:
    /// all agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeSet<Name>>, min_items = 1, max_items = 64)]
    pub environments: Option<Vec<String>>,
    /// What the generator's first key permits.
    #[serde(default)]
    pub key: FirstKey,
}

/// JSON Merge Patch of a generator.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"description": "Preview environments of the shop"})))]
pub struct PatchGenerator {
    /// A description for readers; null clears it.
    #[serde(default)]
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
    /// The names of existing environments to which the generator is limited; null for all agents. Its stacks leave the agents
    /// outside of them.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeSet<Name>>, min_items = 1, max_items = 64)]
    pub environments: Option<Vec<String>>,
}

/// A new generator with its first key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedGenerator {
    /// The generator.
    pub generator: Generator,
    /// The secret key, returned only once; absent when the request is an idempotent repeat.
    pub pak: Option<String>,
}

impl From<GeneratorPrincipal> for Generator {
    fn from(it: GeneratorPrincipal) -> Self {
        Self {
            id: it.id,
            name: it.name.into(),
            description: it.description,
            environments: it.environments.map(Into::into),
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}
