//! Events and audit records.

use brokkr_core::model::{
    ActorRef, AgentEvent, AgentId, AuditId, AuditOutcome, DeploymentObjectId, EntityKind, EventAction, EventId,
    EventOutcome, ObjectRef, RequestId, Revision, StackId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The outcome of an agent's attempt to apply or remove a stack.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Identity.
    pub id: EventId,
    /// The agent that made the attempt.
    pub agent_id: AgentId,
    /// The stack concerned.
    pub stack_id: StackId,
    /// The deployment object that the agent applied; null for a removal.
    pub object_id: Option<DeploymentObjectId>,
    /// The revision of that deployment object.
    pub revision: Option<Revision>,
    /// The attempted action.
    pub action: EventAction,
    /// Whether the attempt succeeded.
    pub outcome: EventOutcome,
    /// Machine-readable reason in CamelCase.
    pub reason: String,
    /// Human-readable explanation.
    pub message: String,
    /// The objects that the outcome concerns.
    pub objects: Vec<ObjectRef>,
    /// Objects that the agent did not delete because they contain objects of others, such as a Namespace.
    pub retained: Vec<ObjectRef>,
    /// Start of the attempt, by the agent's clock.
    pub started_at: Timestamp,
    /// End of the attempt, by the agent's clock.
    pub finished_at: Timestamp,
    /// Time at which the broker recorded the event.
    pub recorded_at: Timestamp,
}

/// One audited operation, or several equal refused attempts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    /// Identity.
    pub id: AuditId,
    /// Time of the operation, by the broker's clock.
    pub at: Timestamp,
    /// The authenticated caller.
    pub actor: ActorRef,
    /// The person or system that held the caller's key, if the key names one.
    pub subject: Option<String>,
    /// The operation, such as `stack.create`.
    pub action: String,
    /// The kind of the affected entity.
    pub object_kind: Option<EntityKind>,
    /// The id of the affected entity.
    pub object_id: Option<String>,
    /// The request that contained the operation.
    pub request_id: RequestId,
    /// The caller's network address.
    pub source: Option<String>,
    /// Whether the operation succeeded, was denied or failed.
    pub outcome: AuditOutcome,
    /// Details, such as the changed fields or the problem type.
    pub detail: Option<String>,
    /// What an update changed in the affected entity. Null for other operations and for attempts that failed.
    pub changes: Option<AuditChanges>,
    /// Number of equal attempts that this record counts.
    pub count: u64,
}

/// What an update changed in one entity.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"patch": [{"op": "replace", "path": "/labels/env", "value": "prod"}], "truncated": false})))]
pub struct AuditChanges {
    /// A JSON Patch (RFC 6902) from the entity before to the entity after, as the API returned it then. Of a publication: from the
    /// manifests of the previous revision, below `/manifests`. A text `(hmac-sha256:…)` stands for a secret value; equal values
    /// have equal texts.
    #[schema(value_type = Vec<Object>)]
    pub patch: Vec<Value>,
    /// Whether the patch would exceed 16 KiB, or manifests above 256 KiB were not compared. Its operations then have no `value`,
    /// and the last ones may be missing.
    pub truncated: bool,
}

/// One page of audit records.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The records, newest first.
    pub items: Vec<AuditRecord>,
    /// Pass it as `cursor` to read the next page; null on the last page.
    pub next: Option<String>,
    /// The ids of records of this page that this broker cannot read: it is older than the broker that wrote them, or they are
    /// damaged. Empty otherwise.
    pub unreadable: Vec<AuditId>,
}

impl From<AgentEvent> for Event {
    fn from(it: AgentEvent) -> Self {
        Self {
            id: it.id,
            agent_id: it.agent_id,
            stack_id: it.stack_id,
            object_id: it.object_id,
            revision: it.revision,
            action: it.action,
            outcome: it.outcome,
            reason: it.reason,
            message: it.message,
            objects: it.objects,
            retained: it.retained,
            started_at: it.started_at,
            finished_at: it.finished_at,
            recorded_at: it.recorded_at,
        }
    }
}

impl From<brokkr_core::model::AuditRecord> for AuditRecord {
    fn from(it: brokkr_core::model::AuditRecord) -> Self {
        Self {
            id: it.id,
            at: it.at,
            actor: it.actor,
            subject: it.subject,
            action: it.action,
            object_kind: it.object_kind,
            object_id: it.object_id,
            request_id: it.request_id,
            source: it.source,
            outcome: it.outcome,
            detail: it.detail,
            changes: it.changes.map(|it| AuditChanges { patch: it.patch, truncated: it.truncated }),
            count: it.count,
        }
    }
}
