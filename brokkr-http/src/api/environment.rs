//! Environments.

use brokkr_core::model::schema::Description;
use brokkr_core::model::{EnvironmentId, Name, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A stage of delivery, such as `staging`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Environment {
    /// Identity.
    pub id: EnvironmentId,
    /// Unique among environments.
    #[schema(value_type = Name)]
    pub name: String,
    /// For people.
    #[schema(value_type = Description)]
    pub description: String,
    /// Its place in the order of promotion: 0 comes first.
    pub rank: u32,
    /// Values that templates may read. Not for secrets.
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// Grows with every change; also the ETag.
    pub version: Version,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An environment to be created.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "staging", "rank": 1, "values": {"domain": "staging.example.com"}})))]
pub struct CreateEnvironment {
    /// A DNS label.
    #[schema(value_type = Name)]
    pub name: String,
    /// For people.
    #[serde(default)]
    #[schema(value_type = Description)]
    pub description: String,
    /// Its place in the order of promotion: 0 comes first.
    #[serde(default)]
    pub rank: u32,
    /// Values that templates may read. Not for secrets.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
}

/// What is to change in an environment (JSON Merge Patch).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"rank": 2})))]
pub struct PatchEnvironment {
    /// For people; null empties it.
    #[serde(default)]
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
    /// Its place in the order of promotion; null puts it first.
    #[serde(default)]
    pub rank: Option<u32>,
    /// Values that templates may read; null empties them, null for one removes it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub values: Option<Map<String, Value>>,
}

impl From<brokkr_core::model::Environment> for Environment {
    fn from(it: brokkr_core::model::Environment) -> Self {
        Self {
            id: it.id,
            name: it.name.into(),
            description: it.description,
            rank: it.rank,
            values: it.values,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}
