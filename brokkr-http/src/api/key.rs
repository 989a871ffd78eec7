//! Keys.

use brokkr_core::model::{ApiKey, KeyId, KeyKind, Name, Timestamp};
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
    /// What the holder of the key may do.
    pub kind: KeyKind,
    /// Expiry time; null if the key does not expire.
    pub expires_at: Option<Timestamp>,
    /// Creation time, by the broker's clock.
    pub created_at: Timestamp,
}

/// Request body that creates a key for an agent or a generator.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "second"})))]
pub struct CreateKey {
    /// A DNS label, for display.
    #[schema(value_type = Name)]
    pub name: String,
    /// Expiry time, in the future. Default: the key does not expire.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// The permissions of an admin key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdminKeyKind {
    /// Every operation.
    Admin,
    /// Every read operation, no write operation.
    AdminReadOnly,
}

/// Request body that creates an admin key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "dashboard", "kind": "admin-read-only"})))]
pub struct CreateAdminKey {
    /// A DNS label, for display.
    #[schema(value_type = Name)]
    pub name: String,
    /// The permissions of the key.
    pub kind: AdminKeyKind,
    /// Expiry time, in the future. Default: the key does not expire.
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
            expires_at: it.expires_at,
            created_at: it.created_at,
        }
    }
}
