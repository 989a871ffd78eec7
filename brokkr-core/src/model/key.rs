//! Prefixed API keys as the store keeps them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{AgentId, Digest, GeneratorId, KeyId, Name, Timestamp, Version};

/// What a key's holder may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum KeyKind {
    /// Everything.
    Admin,
    /// Sees everything, changes nothing.
    AdminReadOnly,
    /// One agent.
    Agent,
    /// One generator.
    Generator,
}

impl KeyKind {
    /// The word used in the key itself.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::AdminReadOnly => "reader",
            Self::Agent => "agent",
            Self::Generator => "generator",
        }
    }
}

/// On whose behalf a key speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum KeyOwner {
    /// An admin, known by the key itself.
    Admin,
    /// A read-only admin, known by the key itself.
    AdminReadOnly,
    /// An agent.
    Agent {
        /// Which.
        id: AgentId,
    },
    /// A generator.
    Generator {
        /// Which.
        id: GeneratorId,
    },
}

impl From<AgentId> for KeyOwner {
    fn from(id: AgentId) -> Self {
        Self::Agent { id }
    }
}

impl From<GeneratorId> for KeyOwner {
    fn from(id: GeneratorId) -> Self {
        Self::Generator { id }
    }
}

impl KeyOwner {
    /// The kind of its keys.
    pub fn kind(self) -> KeyKind {
        match self {
            Self::Admin => KeyKind::Admin,
            Self::AdminReadOnly => KeyKind::AdminReadOnly,
            Self::Agent { .. } => KeyKind::Agent,
            Self::Generator { .. } => KeyKind::Generator,
        }
    }
}

/// A key: never the secret, only its hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Identity.
    pub id: KeyId,
    /// The public part of the key, by which it is looked up; unique.
    pub short_id: String,
    /// SHA-256 of the whole key. A fast hash is right for a secret of 256 random bits.
    pub hash: Digest,
    /// For people.
    pub name: Name,
    /// Who it speaks for.
    pub owner: KeyOwner,
    /// After this it is refused.
    pub expires_at: Option<Timestamp>,
    /// Grows with every change.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// Set when it was revoked.
    pub deleted_at: Option<Timestamp>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("short_id", &self.short_id)
            .field("owner", &self.owner)
            .field("deleted_at", &self.deleted_at)
            .finish_non_exhaustive()
    }
}

impl Record for ApiKey {
    type Id = KeyId;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn version(&self) -> Version {
        self.version
    }

    fn deleted_at(&self) -> Option<Timestamp> {
        self.deleted_at
    }

    fn name(&self) -> Option<&Name> {
        Some(&self.name)
    }
}
