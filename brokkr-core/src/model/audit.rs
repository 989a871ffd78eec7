//! The audit record.

use serde::{Deserialize, Serialize};

use crate::model::{ActorRef, AuditId, EntityKind, RequestId, Timestamp};

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
