//! Generators as principals, which own stacks.

use serde::{Deserialize, Serialize};

use crate::model::entity::Record;
use crate::model::{EnvironmentSet, GeneratorId, Name, Timestamp, Version};

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
    /// The environments to which the generator is limited: its stacks reach no agent outside of them, whatever targets them.
    /// `None`: all agents, also those without an environment.
    pub environments: Option<EnvironmentSet>,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of deletion. Set only on a tombstone.
    pub deleted_at: Option<Timestamp>,
}

impl GeneratorPrincipal {
    /// Whether its stacks may reach agents in this environment. `None`: agents without an environment.
    pub fn reaches(&self, environment: Option<&Name>) -> bool {
        self.environments.as_ref().is_none_or(|limit| limit.contains(environment))
    }
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
