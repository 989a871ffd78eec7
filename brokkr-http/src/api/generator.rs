//! Generators.

use brokkr_core::model::schema::Description;
use brokkr_core::model::{GeneratorId, GeneratorPrincipal, Name, Timestamp, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A principal that owns stacks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Generator {
    /// Identity.
    pub id: GeneratorId,
    /// Unique among generators.
    #[schema(value_type = Name)]
    pub name: String,
    /// For people.
    #[schema(value_type = Description)]
    pub description: String,
    /// Grows with every change; also the ETag.
    pub version: Version,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A generator to be created.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "ci", "description": "Preview environments"})))]
pub struct CreateGenerator {
    /// A DNS label.
    #[schema(value_type = Name)]
    pub name: String,
    /// For people.
    #[serde(default)]
    #[schema(value_type = Description)]
    pub description: String,
}

/// What is to change in a generator (JSON Merge Patch).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"description": "Preview environments of the shop"})))]
pub struct PatchGenerator {
    /// For people; null empties it.
    #[serde(default)]
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
}

/// A new generator with its first key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedGenerator {
    /// The generator.
    pub generator: Generator,
    /// The key itself, shown this once; absent in the answer to a repeated request.
    pub pak: Option<String>,
}

impl From<GeneratorPrincipal> for Generator {
    fn from(it: GeneratorPrincipal) -> Self {
        Self {
            id: it.id,
            name: it.name.into(),
            description: it.description,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}
