//! What a change gives to the agents of an environment, and what it takes from them.

use std::collections::BTreeMap;

use brokkr_core::model::schema::PatchLabels;
use brokkr_core::model::{AgentId, GeneratorId, Name, StackId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Request body that asks what a change would do. It has exactly one of the fields.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"generator": {"id": GeneratorId::SYSTEM, "environments": null}})))]
pub struct AskImpact {
    /// A change of an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentChange>,
    /// A change of the environments to which a generator is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<GeneratorChange>,
}

/// A change of an agent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentChange {
    /// The agent. It is in the environment of the request, or would be after the change.
    pub id: AgentId,
    /// The name of its new environment; null for none. Default: it stays.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>, required = false)]
    pub environment: Option<Option<String>>,
    /// Labels to set, without the prefix `brokkr.io/`; null removes a label.
    #[serde(default)]
    #[schema(value_type = PatchLabels, required = false)]
    pub labels: BTreeMap<String, Option<String>>,
}

/// A change of the environments to which a generator is limited.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GeneratorChange {
    /// The generator.
    pub id: GeneratorId,
    /// The names of existing environments; null or absent: all agents.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeSet<Name>>, min_items = 1, max_items = 64)]
    pub environments: Option<Vec<String>>,
}

/// Tells null from absence.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Whether an agent gets a stack or loses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The agent gets the stack.
    Gain,
    /// The agent loses the stack.
    Loss,
}

/// A stack that an agent would get or lose.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Impact {
    /// The stack.
    pub stack_id: StackId,
    /// The stack's name.
    #[schema(value_type = Name)]
    pub stack_name: String,
    /// The agent.
    pub agent_id: AgentId,
    /// The agent's name.
    #[schema(value_type = Name)]
    pub agent_name: String,
    /// Whether the agent gets the stack or loses it.
    pub effect: Effect,
    /// The reasons for the decision after the change, at least one.
    pub reasons: Vec<String>,
}
