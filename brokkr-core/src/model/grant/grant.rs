//! Grants.

use serde::{Deserialize, Serialize};

use super::GrantRules;
use crate::model::entity::Record;
use crate::model::{GrantId, Name, Timestamp, Version};

/// What generators may deploy to the agents that are registered with them. Each registration names one grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The id of the grant.
    pub id: GrantId,
    /// Unique among grants.
    pub name: Name,
    /// A description for people. May be empty.
    pub description: String,
    /// What the grant allows.
    pub rules: GrantRules,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of deletion. Set only on a tombstone.
    pub deleted_at: Option<Timestamp>,
}

impl Record for Grant {
    type Id = GrantId;

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
