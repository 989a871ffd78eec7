//! Audit records.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{ActorRef, AuditId, EntityKind, RequestId, Timestamp};

/// The outcome of an attempted operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AuditOutcome {
    /// The operation was committed, in the same transaction as this record.
    Success,
    /// The actor lacks permission.
    Denied,
    /// The operation failed for another reason.
    Failed,
}

/// What an update changed in one entity, as the API shows the entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditChanges {
    /// A JSON Patch (RFC 6902) from the state before to the state after. In place of a value of a Secret it has a hash with a
    /// key of the installation: equal values have equal hashes.
    pub patch: Vec<Value>,
    /// Whether the patch would exceed [`AUDIT_CHANGES_BYTES`](crate::model::limits::AUDIT_CHANGES_BYTES). Its operations then
    /// have no values, and the last ones may be missing.
    pub truncated: bool,
}

/// An audit record: actor, action, object, source and outcome. It never changes, and is not deleted before the
/// configured retention ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The id of the record.
    pub id: AuditId,
    /// The time of the attempt.
    pub at: Timestamp,
    /// The actor of the attempt.
    pub actor: ActorRef,
    /// The holder of the actor's key at that time, if the key names one.
    #[serde(default)]
    pub subject: Option<String>,
    /// The action, for example `stack.create` or `key.rotate`.
    pub action: String,
    /// The kind of the entity, if the action is about one.
    pub object_kind: Option<EntityKind>,
    /// The id of the entity.
    pub object_id: Option<String>,
    /// The request that led to the attempt.
    pub request_id: RequestId,
    /// The network address of the caller. Absent for calls in the same process.
    pub source: Option<String>,
    /// The outcome.
    pub outcome: AuditOutcome,
    /// On failure, the slug of the problem. On success, digests and counts, never content. What an update changed is in `changes`.
    pub detail: Option<String>,
    /// What an update changed. Absent for other operations and for attempts that failed.
    #[serde(default)]
    pub changes: Option<AuditChanges>,
    /// The number of attempts that this record stands for. Above 1 only for denied and failed attempts: equal ones share a
    /// record, and an actor adds a limited number of records per minute. The sum of all counts is exact.
    pub count: u64,
}
