//! Agents.

use std::collections::BTreeMap;

use brokkr_core::model::schema::{PatchAnnotations, PatchLabels, ShortText};
use brokkr_core::model::{
    AgentId, AgentStatus, Annotations, Epoch, GeneratorId, InstanceId, Labels, Name, StackId, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A process that serves a cluster.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Identity.
    pub id: AgentId,
    /// Unique among agents.
    #[schema(value_type = Name)]
    pub name: String,
    /// The cluster that it serves, for people.
    #[schema(value_type = ShortText)]
    pub cluster_name: String,
    /// What stacks can share or select.
    #[schema(value_type = Labels)]
    pub labels: BTreeMap<String, String>,
    /// What stacks can share.
    #[schema(value_type = Annotations)]
    pub annotations: BTreeMap<String, String>,
    /// Whether it takes part.
    pub status: AgentStatus,
    /// The generators that it serves; a generator sees itself only.
    pub generator_ids: Vec<GeneratorId>,
    /// The epoch in which an admin allowed it to remove again.
    pub confirmed_epoch: Option<Epoch>,
    /// When it polled or reported last; null before the first time.
    pub last_seen_at: Option<Timestamp>,
    /// What it can do beyond the base protocol.
    pub capabilities: Vec<String>,
    /// What it said of itself; absent in lists and before its first report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<AgentSessionInfo>,
    /// Grows with every change of the agent's own representation; also the ETag.
    pub version: Version,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What an agent says of itself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AgentSessionInfo {
    /// UID of the Namespace `kube-system` of its cluster.
    pub cluster_uid: String,
    /// The run of its process that speaks for it.
    pub instance_id: InstanceId,
    /// When that run reported first.
    pub started_at: Timestamp,
    /// Stacks that it holds and the broker does not know; they are left alone.
    pub unknown_stacks: Vec<StackId>,
}

/// An agent to be created.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "edge-1", "cluster_name": "eu-west-1", "labels": {"env": "prod"}})))]
pub struct CreateAgent {
    /// A DNS label.
    #[schema(value_type = Name)]
    pub name: String,
    /// The cluster that it serves, for people.
    #[serde(default)]
    #[schema(value_type = ShortText)]
    pub cluster_name: String,
    /// What stacks can share or select.
    #[serde(default)]
    #[schema(value_type = Labels)]
    pub labels: BTreeMap<String, String>,
    /// What stacks can share.
    #[serde(default)]
    #[schema(value_type = Annotations)]
    pub annotations: BTreeMap<String, String>,
    /// The generators that it serves; absent means the system generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 256)]
    pub generator_ids: Option<Vec<GeneratorId>>,
}

/// What is to change in an agent (JSON Merge Patch).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"labels": {"env": "staging", "legacy": null}, "status": "cordoned"})))]
pub struct PatchAgent {
    /// The cluster that it serves, for people.
    #[serde(default)]
    #[schema(value_type = Option<ShortText>)]
    pub cluster_name: String,
    /// Labels; null removes one.
    #[serde(default)]
    #[schema(value_type = Option<PatchLabels>)]
    pub labels: BTreeMap<String, String>,
    /// Annotations; null removes one.
    #[serde(default)]
    #[schema(value_type = Option<PatchAnnotations>)]
    pub annotations: BTreeMap<String, String>,
    /// Whether it takes part.
    #[serde(default = "active")]
    #[schema(value_type = Option<AgentStatus>)]
    pub status: AgentStatus,
}

fn active() -> AgentStatus {
    AgentStatus::Active
}

/// A new agent with its first key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedAgent {
    /// The agent.
    pub agent: Agent,
    /// The key itself, shown this once; absent in the answer to a repeated request.
    pub pak: Option<String>,
}

impl From<brokkr_core::model::Agent> for Agent {
    fn from(agent: brokkr_core::model::Agent) -> Self {
        Self {
            id: agent.id,
            name: agent.name.into(),
            cluster_name: agent.cluster_name,
            labels: agent.labels.into(),
            annotations: agent.annotations.into(),
            status: agent.status,
            generator_ids: agent.generator_ids.into_iter().collect(),
            confirmed_epoch: agent.confirmed_epoch,
            last_seen_at: None,
            capabilities: Vec::new(),
            session: None,
            version: agent.version,
            created_at: agent.created_at,
            updated_at: agent.updated_at,
        }
    }
}
