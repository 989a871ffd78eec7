//! Reports of agents to their broker.

use serde::{Deserialize, Serialize};

use crate::model::{
    Condition, DeploymentObjectId, EventAction, EventId, EventOutcome, Health, InstanceId, ObjectRef, Revision,
    StackId, Timestamp,
};

/// A report of an agent. Its sequence number and the ids of its events make it idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Report {
    /// The id of the agent process's run.
    pub instance_id: InstanceId,
    /// The sequence number, higher than that of every earlier report of this run. The broker acknowledges and ignores
    /// other reports.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_223_372_036_854_775_807i64))]
    pub sequence: u64,
    /// UID of the Namespace `kube-system`, which identifies the cluster.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ClusterUid))]
    pub cluster_uid: String,
    /// All stacks of which the agent holds objects. Absent if the agent could not read its whole inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 50_000))]
    pub held: Option<Vec<StackId>>,
    /// Outcomes since the last report.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 1_000))]
    pub events: Vec<EventReport>,
    /// The current status of all stacks, or of those that changed.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 1_000))]
    pub status: Vec<StatusReport>,
    /// Optional protocol features that the agent supports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<crate::model::schema::ShortText>>, max_items = 64))]
    pub capabilities: Option<Vec<String>>,
}

/// The outcome of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventReport {
    /// The id, the same in every repetition of the report.
    pub id: EventId,
    /// The stack.
    pub stack_id: StackId,
    /// The deployment object that the agent applied.
    #[serde(default)]
    pub object_id: Option<DeploymentObjectId>,
    /// The revision of the deployment object.
    #[serde(default)]
    pub revision: Option<Revision>,
    /// The attempted action.
    pub action: EventAction,
    /// The outcome. A removal succeeds when every object is gone.
    pub outcome: EventOutcome,
    /// The reason as one CamelCase word.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ShortText))]
    pub reason: String,
    /// One sentence for people.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::Message))]
    pub message: String,
    /// The objects concerned.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub objects: Vec<ObjectRef>,
    /// Objects that the agent kept because they contain objects of others.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub retained: Vec<ObjectRef>,
    /// The start of the attempt, by the agent's clock.
    pub started_at: Timestamp,
    /// The end of the attempt, by the agent's clock.
    pub finished_at: Timestamp,
}

/// The current status of one stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusReport {
    /// The stack.
    pub stack_id: StackId,
    /// The revision that the agent last tried to apply.
    #[serde(default)]
    pub observed_revision: Option<Revision>,
    /// The newest revision of which the API server accepted every object.
    #[serde(default)]
    pub applied_revision: Option<Revision>,
    /// The conditions of the stack.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    pub conditions: Vec<Condition>,
    /// The health of the objects.
    #[serde(default)]
    pub health: Health,
    /// The number of attempts since the last success.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_223_372_036_854_775_807i64))]
    pub attempts: u64,
}

/// The broker's answer to a report. The agent may discard all events that the answer covers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportAnswer {
    /// The number of newly recorded events.
    pub accepted: usize,
    /// The number of events that the broker knew already, or that repeat the last outcome.
    pub duplicates: usize,
    /// Events that the broker rejects for good. The agent must not repeat them.
    pub rejected: Vec<RejectedEvent>,
}

/// A rejected event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RejectedEvent {
    /// The id of the event.
    pub id: EventId,
    /// The reason as a slug, for example `stack-unknown` for a stack that was never in this agent's target state.
    pub problem: String,
}
