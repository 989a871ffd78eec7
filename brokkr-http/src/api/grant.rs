//! Grants.

use brokkr_core::model::schema::Description;
use brokkr_core::model::{GrantId, GrantRules, Name, Timestamp, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What generators may deploy to the agents that are registered with them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// Identity.
    pub id: GrantId,
    /// Unique among grants.
    #[schema(value_type = Name)]
    pub name: String,
    /// A description for readers.
    #[schema(value_type = Description)]
    pub description: String,
    /// What the grant allows.
    pub rules: GrantRules,
    /// Increases with every change. Also the ETag.
    pub version: Version,
    /// Creation time, by the broker's clock.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Request body that creates a grant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "operators", "rules": {"kinds": ["*.postgresql.cnpg.io", "Secret"], "pod_security": "restricted"}})))]
pub struct CreateGrant {
    /// A DNS label, unique among grants.
    #[schema(value_type = Name)]
    pub name: String,
    /// A description for readers. Default: empty.
    #[serde(default)]
    #[schema(value_type = Description)]
    pub description: String,
    /// What the grant allows. Default, for the whole and for each field: what the grant `default` allows at first.
    #[serde(default)]
    pub rules: GrantRules,
}

/// JSON Merge Patch of a grant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"rules": {"external_ips": true}})))]
pub struct PatchGrant {
    /// A description for readers; null clears it.
    #[serde(default)]
    #[schema(value_type = Option<Description>)]
    pub description: Option<String>,
    /// What the grant allows; null, also for one field, resets to the default.
    #[serde(default)]
    pub rules: Option<GrantRules>,
}

impl From<brokkr_core::model::Grant> for Grant {
    fn from(it: brokkr_core::model::Grant) -> Self {
        Self {
            id: it.id,
            name: it.name.into(),
            description: it.description,
            rules: it.rules,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}
