//! Environments.

use brokkr_core::model::schema::Description;
use brokkr_core::model::{EnvironmentId, Name, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A delivery stage, such as `staging`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Environment {
    /// Identity.
    pub id: EnvironmentId,
    /// Unique among environments. It never changes.
    #[schema(value_type = Name)]
    pub name: String,
    /// A description for readers.
    #[schema(value_type = Description)]
    pub description: String,
    /// Position in the promotion order; 0 comes first.
    #[schema(maximum = 1000000)]
    pub rank: u32,
    /// Values for templates. Do not store secrets here.
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// Whether agents of the environment get only revisions that are stable in it.
    pub protected: bool,
    /// Increases with every change. Also the ETag.
    pub version: Version,
    /// Creation time, by the broker's clock.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Request body that creates an environment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "staging", "rank": 1, "values": {"domain": "staging.example.com"}})))]
pub struct CreateEnvironment {
    /// A DNS label, unique among environments. It cannot be changed later.
    #[schema(value_type = Name)]
    pub name: String,
    /// A description for readers. Default: empty.
    #[serde(default)]
    #[schema(value_type = Description)]
    pub description: String,
    /// Position in the promotion order; 0 comes first. Default: 0.
    #[serde(default)]
    #[schema(maximum = 1000000)]
    pub rank: u32,
    /// Values for templates, at most 64 KiB of JSON. Do not store secrets here.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// Whether agents of the environment get only revisions that are stable in it. Default: false.
    #[serde(default)]
    pub protected: bool,
}

/// JSON Merge Patch of an environment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"rank": 2})))]
pub struct PatchEnvironment {
    /// A description for readers; null clears it.
    #[serde(default)]
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
    /// Position in the promotion order; null resets it to 0.
    #[serde(default)]
    #[schema(maximum = 1000000)]
    pub rank: Option<u32>,
    /// Values for templates. Null clears all values; null for one key removes that key.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub values: Option<Map<String, Value>>,
    /// Whether agents of the environment get only revisions that are stable in it; null sets false. Setting it to true makes
    /// the newest revision of each stack that the agents follow stable.
    #[serde(default)]
    pub protected: Option<bool>,
}

impl From<brokkr_core::model::Environment> for Environment {
    fn from(it: brokkr_core::model::Environment) -> Self {
        Self {
            id: it.id,
            name: it.name.into(),
            description: it.description,
            rank: it.rank,
            values: it.values,
            protected: it.protected,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}
