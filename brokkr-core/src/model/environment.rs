//! Environments: where agents stand on the way from development to production.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::entity::Record;
use crate::model::{EnvironmentId, Name, Timestamp, Version};

/// A stage of delivery, such as `staging`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Identity.
    pub id: EnvironmentId,
    /// Unique among environments.
    pub name: Name,
    /// For people.
    pub description: String,
    /// Its place in the order of promotion: 0 comes first. Environments may share a rank.
    pub rank: u32,
    /// Values that templates may read; at most [`VALUES_BYTES`](crate::model::limits::VALUES_BYTES) as JSON. Not for secrets.
    pub values: Map<String, Value>,
    /// Grows by one with every change.
    pub version: Version,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

impl Record for Environment {
    type Id = EnvironmentId;

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
