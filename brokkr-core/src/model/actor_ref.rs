//! Who acted.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{AgentId, GeneratorId, KeyId};

/// Who acted, as it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ActorRef {
    /// The broker itself or its host.
    System,
    /// Nobody that is known.
    Anonymous,
    /// An admin.
    Admin {
        /// By which key.
        key_id: KeyId,
    },
    /// A read-only admin.
    AdminReadOnly {
        /// By which key.
        key_id: KeyId,
    },
    /// An agent.
    Agent {
        /// Which.
        id: AgentId,
        /// By which key; absent in-process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<KeyId>,
    },
    /// A generator.
    Generator {
        /// Which.
        id: GeneratorId,
        /// By which key; absent in-process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<KeyId>,
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
        }
    }
}
