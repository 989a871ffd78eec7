//! Generators as principals, which own stacks.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{GeneratorId, Name, Timestamp, Version};

/// A principal that creates stacks and owns them.
///
/// The trait `Generator` of `brokkr-control` is the code that produces manifests in the broker's process; it acts as
/// such a principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorPrincipal {
    /// The id of the generator.
    pub id: GeneratorId,
    /// Unique among living generators.
    pub name: Name,
    /// A description for people. May be empty.
    pub description: String,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of deletion. Set only on a tombstone.
    pub deleted_at: Option<Timestamp>,
}

impl Record for GeneratorPrincipal {
    type Id = GeneratorId;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn version(&self) -> Version {
        self.version
    }

    fn deleted_at(&self) -> Option<Timestamp> {
        self.deleted_at
    }

    fn generator(&self) -> Option<GeneratorId> {
        Some(self.id)
    }

    fn name(&self) -> Option<&Name> {
        Some(&self.name)
    }
}
