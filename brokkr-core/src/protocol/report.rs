//! What an agent tells its broker.

use serde::{Deserialize, Serialize};

use crate::model::{
    Condition, DeploymentObjectId, EventAction, EventId, EventOutcome, Health, InstanceId, ObjectRef, Revision,
    StackId, Timestamp,
};

/// One report: outcomes and statuses, idempotent by its sequence number and the events' ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Report {
    /// The run of the agent's process.
    pub instance_id: InstanceId,
    /// Rises with every report of this run; one that does not is acknowledged and ignored.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_223_372_036_854_775_807i64))]
    pub sequence: u64,
    /// UID of the Namespace `kube-system`.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ClusterUid))]
    pub cluster_uid: String,
    /// Every stack of which the agent holds something. Present only when the inventory was read completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 50_000))]
    pub held: Option<Vec<StackId>>,
    /// Outcomes since the last report.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 1_000))]
    pub events: Vec<EventReport>,
    /// The present status of stacks that changed, or of all.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 1_000))]
    pub status: Vec<StatusReport>,
    /// What the agent can do beyond the base protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<crate::model::schema::ShortText>>, max_items = 64))]
    pub capabilities: Option<Vec<String>>,
}

/// The outcome of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventReport {
    /// Identity; the same in every repetition.
    pub id: EventId,
    /// The stack.
    pub stack_id: StackId,
    /// The deployment object that was applied.
    #[serde(default)]
    pub object_id: Option<DeploymentObjectId>,
    /// Its revision.
    #[serde(default)]
    pub revision: Option<Revision>,
    /// What was tried.
    pub action: EventAction,
    /// How it ended. A removal succeeded when every object is gone.
    pub outcome: EventOutcome,
    /// One word in CamelCase.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ShortText))]
    pub reason: String,
    /// One sentence.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::Message))]
    pub message: String,
    /// The objects concerned.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub objects: Vec<ObjectRef>,
    /// Objects kept because something of others is in them.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub retained: Vec<ObjectRef>,
    /// When the attempt began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// The present status of one stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusReport {
    /// The stack.
    pub stack_id: StackId,
    /// The revision that was worked on last.
    #[serde(default)]
    pub observed_revision: Option<Revision>,
    /// The newest revision of which the API server accepted every object.
    #[serde(default)]
    pub applied_revision: Option<Revision>,
    /// The aspects.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    pub conditions: Vec<Condition>,
    /// How the objects fare.
    #[serde(default)]
    pub health: Health,
    /// Tries since the last success.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_223_372_036_854_775_807i64))]
    pub attempts: u64,
}

/// The broker's answer to a report. What is acknowledged may be forgotten by the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportAnswer {
    /// Events taken.
    pub accepted: usize,
    /// Events that were known already, or repeat the last outcome.
    pub duplicates: usize,
    /// Events that no repetition will make acceptable.
    pub rejected: Vec<RejectedEvent>,
}

/// An event that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RejectedEvent {
    /// Which.
    pub id: EventId,
    /// Why, as a slug: `stack-unknown` for a stack that this agent was never told of.
    pub problem: String,
}
