//! Join tokens: credentials that new agents exchange for keys of their own.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Invalid;
use crate::model::entity::Record;
use crate::model::{
    ActorRef, Annotations, Digest, EnvironmentSet, GeneratorId, GrantId, JoinTokenId, Labels, Name, Timestamp, Version,
    agent_labels,
};

/// A credential that creates agents. It holds a hash of the secret, never the secret.
///
/// The token fixes everything about the new agents except their names, so the holder of a token decides nothing else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// The id of the token.
    pub id: JoinTokenId,
    /// Unique among join tokens.
    pub name: Name,
    /// A description for people. May be empty.
    pub description: String,
    /// The public part of the token, used to look it up.
    pub short_id: String,
    /// SHA-256 of the whole token. A fast hash suffices for a secret of 256 random bits.
    pub hash: Digest,
    /// How many agents the token may create.
    pub max_uses: u32,
    /// How many agents it has created. An agent that repeats its join uses nothing.
    pub uses: u32,
    /// The time after which the broker refuses the token.
    pub expires_at: Timestamp,
    /// The environment of the new agents.
    pub environment: Option<Name>,
    /// The labels of the new agents.
    pub labels: Labels,
    /// The annotations of the new agents.
    pub annotations: Annotations,
    /// The registrations of the new agents, and the grant of each.
    pub registrations: BTreeMap<GeneratorId, GrantId>,
    /// The time at which the keys of the new agents expire: that of the key that created the token. `None`: they do not
    /// expire.
    pub keys_expire_at: Option<Timestamp>,
    /// The environments to which the keys of the new agents are limited: those of the key that created the token. `None`: they
    /// are not limited.
    pub keys_environments: Option<EnvironmentSet>,
    /// Who created the token.
    pub created_by: ActorRef,
    /// The version: 1 at first, plus one with every change.
    pub version: Version,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of deletion. Set only on a tombstone.
    pub deleted_at: Option<Timestamp>,
}

impl JoinToken {
    /// Whether the broker accepts the token at this time. A token without uses left still serves repeated joins.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.deleted_at.is_none() && self.expires_at > now
    }

    /// The labels of an agent that joins: those of the token, and the environment's.
    ///
    /// # Errors
    ///
    /// Those of [`agent_labels`].
    pub fn agent_labels(&self) -> Result<Labels, Invalid> {
        agent_labels(self.labels.clone().into(), self.environment.as_ref())
    }

    /// Whether the token may create one more agent.
    pub fn has_uses_left(&self) -> bool {
        self.uses < self.max_uses
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("short_id", &self.short_id)
            .field("uses", &self.uses)
            .field("max_uses", &self.max_uses)
            .field("deleted_at", &self.deleted_at)
            .finish_non_exhaustive()
    }
}

impl Record for JoinToken {
    type Id = JoinTokenId;

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
