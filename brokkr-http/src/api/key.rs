//! Keys.

use brokkr_core::model::{ApiKey, KeyId, KeyKind, Name, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A key, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Identity.
    pub id: KeyId,
    /// The public part of the key itself.
    pub short_id: String,
    /// For people.
    #[schema(value_type = Name)]
    pub name: String,
    /// What its holder may be.
    pub kind: KeyKind,
    /// When it stops being valid.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key to be made for an agent or a generator.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "second"})))]
pub struct CreateKey {
    /// A DNS label.
    #[schema(value_type = Name)]
    pub name: String,
    /// When it stops being valid, a time to come; absent for never.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// What the holder of an admin's key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdminKeyKind {
    /// Everything.
    Admin,
    /// Sees everything, changes nothing.
    AdminReadOnly,
}

/// A key to be made for an admin.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "dashboard", "kind": "admin-read-only"})))]
pub struct CreateAdminKey {
    /// A DNS label.
    #[schema(value_type = Name)]
    pub name: String,
    /// What its holder may do.
    pub kind: AdminKeyKind,
    /// When it stops being valid, a time to come; absent for never.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// A new key with its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    /// The key.
    pub key: Key,
    /// The key itself, shown this once; absent in the answer to a repeated request.
    pub pak: Option<String>,
}

/// How to rotate.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"overlap_seconds": 3600})))]
pub struct RotatePak {
    /// How long the present keys stay valid; 0 (the default) ends them at once, at most 604,800.
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
