//! Keys.

use brokkr_core::model::schema::{AdminKeyScope, GeneratorKeyScope, ShortText};
use brokkr_core::model::{ApiKey, KeyId, KeyKind, KeyScope, Name, Preset, SourceNetwork, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Metadata of an API key, without the secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Identity.
    pub id: KeyId,
    /// The public part of the key text, which identifies the key in logs.
    pub short_id: String,
    /// The key's name, for display.
    #[schema(value_type = Name)]
    pub name: String,
    /// The kind of the owner, which decides the rows that the key reaches.
    pub kind: KeyKind,
    /// The person or system that holds the key.
    pub subject: Option<String>,
    /// What the holder of the key may do.
    #[schema(value_type = Vec<KeyScope>)]
    pub scopes: Vec<String>,
    /// The networks from which the key may be used; empty: from everywhere.
    #[schema(value_type = Vec<SourceNetwork>)]
    pub source_networks: Vec<String>,
    /// The environments to which the key is limited: its holder sees and changes only agents of them. Null: not limited.
    #[schema(value_type = Option<std::collections::BTreeSet<Name>>)]
    pub environments: Option<Vec<String>>,
    /// Expiry time; null if the key does not expire.
    pub expires_at: Option<Timestamp>,
    /// Creation time, by the broker's clock.
    pub created_at: Timestamp,
    /// Time of the latest use, to about a minute. Null if the key was never used, and outside of lists.
    pub last_used_at: Option<Timestamp>,
}

/// Request body that creates a key for an agent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "second"})))]
pub struct CreateAgentKey {
    /// A DNS label, for display.
    #[schema(value_type = Name)]
    pub name: String,
    /// The person or system that holds the key, for the audit.
    #[serde(default)]
    #[schema(value_type = Option<ShortText>)]
    pub subject: Option<String>,
    /// The networks from which the key may be used. Default: from everywhere.
    #[serde(default)]
    #[schema(value_type = Vec<SourceNetwork>, max_items = 64)]
    pub source_networks: Vec<String>,
    /// The names of the environments to which the key is limited. Default, and at most: those of the presented key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeSet<Name>>, min_items = 1, max_items = 64)]
    pub environments: Option<Vec<String>>,
    /// Expiry time, in the future. Default, and at the latest: that of the presented key.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Request body that creates a key for a generator.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "ci", "subject": "ci@example.com", "scopes": ["stacks:write"]})))]
pub struct CreateKey {
    /// A DNS label, for display.
    #[schema(value_type = Name)]
    pub name: String,
    /// The person or system that holds the key, for the audit.
    #[serde(default)]
    #[schema(value_type = Option<ShortText>)]
    pub subject: Option<String>,
    /// What the holder may do, within the scopes of the presented key. Default: `stacks:read` and `stacks:write`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<GeneratorKeyScope>>, min_items = 1, max_items = 64)]
    pub scopes: Option<Vec<String>>,
    /// The networks from which the key may be used. Default: from everywhere.
    #[serde(default)]
    #[schema(value_type = Vec<SourceNetwork>, max_items = 64)]
    pub source_networks: Vec<String>,
    /// The names of the environments to which the key is limited. Default, and at most: those of the presented key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeSet<Name>>, min_items = 1, max_items = 64)]
    pub environments: Option<Vec<String>>,
    /// Expiry time, in the future. Default, and at the latest: that of the presented key, or the end of the broker's maximum
    /// lifetime.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// What the first key of a new generator permits.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstKey {
    /// The person or system that holds the key, for the audit.
    #[serde(default)]
    #[schema(value_type = Option<ShortText>)]
    pub subject: Option<String>,
    /// What the holder may do, within the scopes of the presented key. Default: `stacks:read` and `stacks:write`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<GeneratorKeyScope>>, min_items = 1, max_items = 64)]
    pub scopes: Option<Vec<String>>,
    /// The networks from which the key may be used. Default: from everywhere.
    #[serde(default)]
    #[schema(value_type = Vec<SourceNetwork>, max_items = 64)]
    pub source_networks: Vec<String>,
    /// The names of the environments to which the key is limited. Default, and at most: those of the presented key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeSet<Name>>, min_items = 1, max_items = 64)]
    pub environments: Option<Vec<String>>,
    /// Expiry time, in the future. Default, and at the latest: that of the presented key, or the end of the broker's maximum
    /// lifetime.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// The earlier form of a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdminKeyKind {
    /// The preset `admin`.
    Admin,
    /// The preset `auditor`.
    AdminReadOnly,
}

/// Request body that creates an admin key. It has the scopes of `preset`, of `kind` and of `scopes` together; without any of
/// them those of the preset `auditor`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "jane", "subject": "jane@example.com", "preset": "operator"})))]
pub struct CreateAdminKey {
    /// A DNS label, for display.
    #[schema(value_type = Name)]
    pub name: String,
    /// The earlier form of `preset`.
    #[serde(default)]
    pub kind: Option<AdminKeyKind>,
    /// A named set of scopes.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// The person or system that holds the key, for the audit.
    #[serde(default)]
    #[schema(value_type = Option<ShortText>)]
    pub subject: Option<String>,
    /// What the holder may do, within the scopes of the presented key.
    #[serde(default)]
    #[schema(value_type = Option<Vec<AdminKeyScope>>, min_items = 1, max_items = 64)]
    pub scopes: Option<Vec<String>>,
    /// The networks from which the key may be used. Default: from everywhere.
    #[serde(default)]
    #[schema(value_type = Vec<SourceNetwork>, max_items = 64)]
    pub source_networks: Vec<String>,
    /// The names of the environments to which the key is limited. Default, and at most: those of the presented key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeSet<Name>>, min_items = 1, max_items = 64)]
    pub environments: Option<Vec<String>>,
    /// Expiry time, in the future. Default, and at the latest: that of the presented key, or the end of the broker's maximum
    /// lifetime.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// A new key with its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    /// Metadata of the key.
    pub key: Key,
    /// The secret key, returned only once; absent when the request is an idempotent repeat.
    pub pak: Option<String>,
}

/// Request body that rotates keys.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"overlap_seconds": 3600})))]
pub struct RotatePak {
    /// Seconds for which the existing keys stay valid, at most 604,800 (7 days). Default: 0, which revokes them immediately.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 604_800, format = Int64)]
    pub overlap_seconds: u64,
}

impl From<ApiKey> for Key {
    fn from(it: ApiKey) -> Self {
        Self {
            id: it.id,
            short_id: it.short_id,
            name: it.name.into(),
            kind: it.owner.kind(),
            subject: it.subject,
            scopes: it.scopes.iter().map(ToString::to_string).collect(),
            source_networks: it.source_networks.iter().map(ToString::to_string).collect(),
            environments: it.environments.map(Into::into),
            expires_at: it.expires_at,
            created_at: it.created_at,
            last_used_at: None,
        }
    }
}
