//! Agents.

use std::collections::BTreeMap;

use brokkr_core::model::schema::{PatchAnnotations, PatchLabels, ShortText};
use brokkr_core::model::{
    AgentId, AgentStatus, Annotations, Epoch, GeneratorId, GrantId, InstanceId, Labels, Name, StackId, Suspension,
    Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A process that applies stacks to one cluster.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Identity.
    pub id: AgentId,
    /// Unique among agents.
    #[schema(value_type = Name)]
    pub name: String,
    /// The name of the cluster that the agent serves. For display only; does not affect targeting.
    #[schema(value_type = ShortText)]
    pub cluster_name: String,
    /// The name of the environment that the agent is in; null for none.
    #[schema(value_type = Option<Name>)]
    pub environment: Option<String>,
    /// Labels, with that of the environment, `brokkr.io/environment`. Targeting rules select agents by them.
    #[schema(value_type = Labels)]
    pub labels: BTreeMap<String, String>,
    /// Annotations. Targeting rules can match them; label selectors cannot.
    #[schema(value_type = Annotations)]
    pub annotations: BTreeMap<String, String>,
    /// `active` agents receive stacks, `cordoned` ones receive no new stacks, `retired` ones are refused.
    pub status: AgentStatus,
    /// Why all stacks of the agent are suspended; null if they are not.
    pub suspended: Option<Suspension>,
    /// The generators whose stacks the agent serves, with their grants. A generator sees only its own registration.
    pub registrations: Vec<Registration>,
    /// The epoch in which an admin last allowed the agent to remove and prune; null if never.
    pub confirmed_epoch: Option<Epoch>,
    /// Time of the agent's last poll or report; null before the first one.
    pub last_seen_at: Option<Timestamp>,
    /// Since when the agent neither polls nor reports; null if it does. Ends after its next poll.
    pub silence: Option<AgentSilenceInfo>,
    /// Optional protocol features that the agent supports. An agent without `hold` is outdated: it gets no target state in
    /// which stacks are suspended or undecided.
    pub capabilities: Vec<String>,
    /// Details from the agent's last report; absent in lists and before the first report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<AgentSessionInfo>,
    /// Increases with every change of this representation. Also the ETag.
    pub version: Version,
    /// Creation time, by the broker's clock.
    pub created_at: Timestamp,
    /// Time of the last change of this representation.
    pub updated_at: Timestamp,
}

/// A generator whose stacks an agent serves, and what they may contain there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Registration {
    /// The generator.
    pub generator_id: GeneratorId,
    /// The grant.
    pub grant_id: GrantId,
}

impl From<(GeneratorId, GrantId)> for Registration {
    fn from((generator_id, grant_id): (GeneratorId, GrantId)) -> Self {
        Self { generator_id, grant_id }
    }
}

/// Request body that registers an agent with a generator.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"grant_id": GrantId::DEFAULT})))]
pub struct RegisterAgent {
    /// What the generator's stacks may contain on this agent. Default: the present grant; for a new registration `default`, for
    /// the system generator `unrestricted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<GrantId>,
}

/// Details that an agent reports about itself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AgentSessionInfo {
    /// UID of the Namespace `kube-system`, which identifies the agent's cluster.
    pub cluster_uid: String,
    /// The current agent process; a restart changes it.
    pub instance_id: InstanceId,
    /// Time of that process's first report.
    pub started_at: Timestamp,
    /// Stacks in the agent's inventory that the broker does not know. The agent does not touch them. Empty for callers other
    /// than admins.
    pub unknown_stacks: Vec<StackId>,
}

/// The silence of an agent that neither polls nor reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentSilenceInfo {
    /// Time of the agent's last poll or report.
    pub since: Timestamp,
    /// Whether many agents became silent together: more likely the network than this agent.
    pub correlated: bool,
}

/// Request body that creates an agent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "edge-1", "cluster_name": "eu-west-1", "labels": {"env": "prod"}})))]
pub struct CreateAgent {
    /// A DNS label, unique among agents.
    #[schema(value_type = Name)]
    pub name: String,
    /// The name of the cluster that the agent serves. For display only.
    #[serde(default)]
    #[schema(value_type = ShortText)]
    pub cluster_name: String,
    /// The name of an existing environment that the agent is in. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub environment: Option<String>,
    /// Labels, without the prefix `brokkr.io/`. Targeting rules select agents by them.
    #[serde(default)]
    #[schema(value_type = Labels)]
    pub labels: BTreeMap<String, String>,
    /// Annotations. Targeting rules can match them.
    #[serde(default)]
    #[schema(value_type = Annotations)]
    pub annotations: BTreeMap<String, String>,
    /// The generators whose stacks the agent serves, each with the grant that it would have by default. Default: the system
    /// generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 256)]
    pub generator_ids: Option<Vec<GeneratorId>>,
}

/// JSON Merge Patch of an agent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"labels": {"env": "staging", "legacy": null}, "status": "cordoned"})))]
pub struct PatchAgent {
    /// The name of the cluster that the agent serves. For display only.
    #[serde(default)]
    #[schema(value_type = Option<ShortText>)]
    pub cluster_name: String,
    /// The name of an existing environment that the agent is in; null for none. The agent loses the stacks that no longer match.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    pub environment: Option<String>,
    /// Labels to set, without the prefix `brokkr.io/`; null removes a label.
    #[serde(default)]
    #[schema(value_type = Option<PatchLabels>)]
    pub labels: BTreeMap<String, String>,
    /// Annotations to set; null removes an annotation.
    #[serde(default)]
    #[schema(value_type = Option<PatchAnnotations>)]
    pub annotations: BTreeMap<String, String>,
    /// `active`, `cordoned` or `retired`; null sets `active`.
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
    /// The secret key, returned only once; absent when the request is an idempotent repeat.
    pub pak: Option<String>,
}

impl From<brokkr_core::model::Agent> for Agent {
    fn from(agent: brokkr_core::model::Agent) -> Self {
        Self {
            id: agent.id,
            name: agent.name.into(),
            cluster_name: agent.cluster_name,
            environment: agent.environment.map(Into::into),
            labels: agent.labels.into(),
            annotations: agent.annotations.into(),
            status: agent.status,
            suspended: agent.suspended,
            registrations: agent.registrations.into_iter().map(Registration::from).collect(),
            confirmed_epoch: agent.confirmed_epoch,
            last_seen_at: None,
            silence: None,
            capabilities: Vec::new(),
            session: None,
            version: agent.version,
            created_at: agent.created_at,
            updated_at: agent.updated_at,
        }
    }
}
