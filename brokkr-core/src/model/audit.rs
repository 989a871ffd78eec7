//! The audit record.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AgentId, AuditId, EntityKind, GeneratorId, KeyId, RequestId, Timestamp};

/// Who acted, as it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AuditOutcome {
    /// Committed, in the same transaction as this record.
    Success,
    /// The actor may not do this.
    Denied,
    /// Refused for another reason.
    Failed,
}

/// Who did what on which object, from where, and how it ended. Never changed, never deleted before retention ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Identity.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: ActorRef,
    /// What: `stack.create`, `key.rotate` …
    pub action: String,
    /// On what kind of entity, if on one.
    pub object_kind: Option<EntityKind>,
    /// On which.
    pub object_id: Option<String>,
    /// In the course of which request.
    pub request_id: RequestId,
    /// From which network address, if over the network.
    pub source: Option<String>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The problem's slug, when it did not succeed; digests and counts, never content, when it did.
    pub detail: Option<String>,
    /// How many attempts this record stands for: above 1 only for denied ones under a flood.
    pub count: u64,
}
