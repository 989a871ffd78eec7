//! Events and audit records.

use brokkr_core::model::{
    ActorRef, AgentEvent, AgentId, AuditId, AuditOutcome, DeploymentObjectId, EntityKind, EventAction, EventId,
    EventOutcome, ObjectRef, RequestId, Revision, StackId, Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The outcome of an attempt of an agent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Identity.
    pub id: EventId,
    /// The agent.
    pub agent_id: AgentId,
    /// The stack.
    pub stack_id: StackId,
    /// The deployment object.
    pub object_id: Option<DeploymentObjectId>,
    /// Its revision.
    pub revision: Option<Revision>,
    /// What was tried.
    pub action: EventAction,
    /// How it ended.
    pub outcome: EventOutcome,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// The objects concerned.
    pub objects: Vec<ObjectRef>,
    /// Objects that stay because something of others is in them.
    pub retained: Vec<ObjectRef>,
    /// When the attempt began, by the agent's clock.
    pub started_at: Timestamp,
    /// When it ended, by the agent's clock.
    pub finished_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// Who did what.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    /// Identity.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: ActorRef,
    /// What.
    pub action: String,
    /// On what kind of entity.
    pub object_kind: Option<EntityKind>,
    /// On which.
    pub object_id: Option<String>,
    /// In the course of which request.
    pub request_id: RequestId,
    /// From which network address.
    pub source: Option<String>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// More.
    pub detail: Option<String>,
    /// How many attempts this stands for.
    pub count: u64,
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
            action: it.action,
            object_kind: it.object_kind,
            object_id: it.object_id,
            request_id: it.request_id,
            source: it.source,
            outcome: it.outcome,
            detail: it.detail,
            count: it.count,
        }
    }
}
