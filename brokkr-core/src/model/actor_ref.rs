//! References to actors.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{AgentId, GeneratorId, JoinTokenId, KeyId};

/// The actor of a change or an attempt, as the store records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ActorRef {
    /// The broker itself or its host.
    System,
    /// An unauthenticated caller.
    Anonymous,
    /// An admin, identified by the key.
    Admin {
        /// The key that authenticated the admin.
        key_id: KeyId,
    },
    /// A read-only admin, identified by the key.
    AdminReadOnly {
        /// The key that authenticated the admin.
        key_id: KeyId,
    },
    /// An agent.
    Agent {
        /// The agent.
        id: AgentId,
        /// The key that authenticated the caller. Absent for calls in the same process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<KeyId>,
    },
    /// A generator.
    Generator {
        /// The generator.
        id: GeneratorId,
        /// The key that authenticated the caller. Absent for calls in the same process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<KeyId>,
    },
    /// A new agent, identified by the join token.
    JoinToken {
        /// The token that authenticated the caller.
        id: JoinTokenId,
    },
}

impl fmt::Display for ActorRef {
    /// The form that filters take: `system`, `admin:<key id>`, `agent:<id>` …
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Admin { key_id } => write!(f, "admin:{key_id}"),
            Self::AdminReadOnly { key_id } => write!(f, "admin-read-only:{key_id}"),
            Self::Agent { id, .. } => write!(f, "agent:{id}"),
            Self::Generator { id, .. } => write!(f, "generator:{id}"),
            Self::JoinToken { id } => write!(f, "join-token:{id}"),
        }
    }
}
