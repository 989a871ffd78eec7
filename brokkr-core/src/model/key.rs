//! Prefixed API keys (PAKs), as stored.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::entity::Record;
use crate::model::{
    AgentId, Digest, EnvironmentSet, GeneratorId, KeyId, KeyKind, KeyScope, KeyScopes, Name, Preset, SourceNetwork,
    Timestamp, Version,
};

/// The principal that a key authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum KeyOwner {
    /// An admin. The key's id is the admin's only identity.
    Admin,
    /// A read-only admin. The key's id is the admin's only identity.
    AdminReadOnly,
    /// An agent.
    Agent {
        /// The agent's id.
        id: AgentId,
    },
    /// A generator.
    Generator {
        /// The generator's id.
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
    /// The owner of an admin key with these scopes. Keys that permit no change belong to read-only admins.
    pub fn of_admin(scopes: &KeyScopes) -> Self {
        if scopes.iter().all(KeyScope::only_reads) { Self::AdminReadOnly } else { Self::Admin }
    }

    /// The kind of this owner's keys.
    pub fn kind(self) -> KeyKind {
        match self {
            Self::Admin => KeyKind::Admin,
            Self::AdminReadOnly => KeyKind::AdminReadOnly,
            Self::Agent { .. } => KeyKind::Agent,
            Self::Generator { .. } => KeyKind::Generator,
        }
    }
}

/// An API key. It holds a hash of the secret, never the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredKey")]
pub struct ApiKey {
    /// The id of the key.
    pub id: KeyId,
    /// The public part of the key, used to look it up. Unique, also among revoked keys.
    pub short_id: String,
    /// SHA-256 of the whole key. A fast hash suffices for a secret of 256 random bits.
    pub hash: Digest,
    /// A name for people. Not unique.
    pub name: Name,
    /// The principal that the key authenticates.
    pub owner: KeyOwner,
    /// The person or system that holds the key, for the audit. Free text.
    pub subject: Option<String>,
    /// What the holder may do. The owner limits the rows.
    pub scopes: KeyScopes,
    /// The networks from which the key may be used; empty: from everywhere.
    pub source_networks: Vec<SourceNetwork>,
    /// The environments to which the key is limited: the holder sees and changes only agents of them. `None`: not limited.
    pub environments: Option<EnvironmentSet>,
    /// The time after which the broker refuses the key. `None`: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of revocation; a revoked key is a tombstone.
    pub deleted_at: Option<Timestamp>,
}

/// A key as stored. Keys of versions without scopes have the scopes that equal their rights.
#[derive(Deserialize)]
struct StoredKey {
    id: KeyId,
    short_id: String,
    hash: Digest,
    name: Name,
    owner: KeyOwner,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    scopes: Option<KeyScopes>,
    #[serde(default)]
    source_networks: Option<Vec<SourceNetwork>>,
    #[serde(default)]
    environments: Option<EnvironmentSet>,
    expires_at: Option<Timestamp>,
    version: Version,
    created_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

impl From<StoredKey> for ApiKey {
    fn from(it: StoredKey) -> Self {
        Self {
            id: it.id,
            short_id: it.short_id,
            hash: it.hash,
            name: it.name,
            owner: it.owner,
            subject: it.subject,
            scopes: it.scopes.unwrap_or_else(|| it.owner.kind().default_scopes()),
            source_networks: it.source_networks.unwrap_or_default(),
            environments: it.environments,
            expires_at: it.expires_at,
            version: it.version,
            created_at: it.created_at,
            deleted_at: it.deleted_at,
        }
    }
}

impl ApiKey {
    /// Whether the broker accepts the key at this time.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.deleted_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }

    /// Whether the holder can do everything that keys permit, so that it can create every other key.
    pub fn is_full_admin(&self) -> bool {
        self.owner == KeyOwner::Admin && self.environments.is_none() && self.scopes.cover(&Preset::Admin.scopes())
    }
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

    fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "short_id": self.short_id,
            "name": self.name,
            "kind": self.owner.kind(),
            "subject": self.subject,
            "scopes": self.scopes,
            "source_networks": self.source_networks,
            "environments": self.environments,
            "expires_at": self.expires_at,
            "created_at": self.created_at,
        })
    }
}
