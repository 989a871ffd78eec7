//! Generators as principals: the owners of stacks.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{GeneratorId, Name, Timestamp, Version};

/// A principal that produces stacks and owns what it created.
///
/// The code that makes manifests inside the process is an implementation of
/// `Generator`; it runs under such a principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorPrincipal {
    /// Identity.
    pub id: GeneratorId,
    /// Unique among living generators.
    pub name: Name,
    /// For people.
    pub description: String,
    /// Grows with every change.
    pub version: Version,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Set on a tombstone.
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
