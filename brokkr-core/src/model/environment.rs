//! Environments: stages of delivery between development and production.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::entity::Record;
use crate::model::{EnvironmentId, Name, Timestamp, Version};

/// A stage of delivery, such as `staging`.
///
/// An agent is in at most one environment. Generators, keys and targeting rules can be limited to environments. All of them name
/// the environment, so its name never changes, and an environment that is named cannot be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The id of the environment.
    pub id: EnvironmentId,
    /// Unique among environments. It never changes.
    pub name: Name,
    /// A description for people. May be empty.
    pub description: String,
    /// The position in the order of promotion: 0 comes first. Environments may share a rank.
    pub rank: u32,
    /// Values for templates, at most [`VALUES_BYTES`](crate::model::limits::VALUES_BYTES) as JSON. They are not
    /// encrypted; do not store secrets here.
    pub values: Map<String, Value>,
    /// Whether agents of the environment get only revisions that are stable in it.
    #[serde(default)]
    pub protected: bool,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of deletion. Set only on a tombstone.
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
