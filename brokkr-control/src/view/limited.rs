//! The rows for keys that are limited to environments.

use std::collections::BTreeSet;
use std::sync::Arc;

use brokkr_core::model::{AgentId, ApiKey, EnvironmentSet, GeneratorId, KeyOwner, is_within};
use brokkr_core::store::Scope;

use crate::view::FleetView;

impl FleetView {
    /// The rows for a key that is limited to environments, of a generator or of an admin.
    pub(crate) fn limited_scope(&self, generator: Option<GeneratorId>, limit: &EnvironmentSet) -> Scope {
        let state = self.read();
        let within = state.agents().filter(|agent| limit.contains(agent.environment.as_ref()));
        let agents: BTreeSet<AgentId> = within.map(|agent| agent.id).collect();
        let manages = |key: &ApiKey| match (key.owner, generator) {
            (KeyOwner::Agent { id }, None) => agents.contains(&id),
            (KeyOwner::Generator { id }, Some(own)) if id != own => false,
            (KeyOwner::Agent { .. } | KeyOwner::Admin | KeyOwner::AdminReadOnly, Some(_)) => false,
            _ => is_within(key.environments.as_ref(), Some(limit)),
        };
        let keys = state.keys().filter(|key| manages(key)).map(|key| key.id).collect();
        Scope::Limited { generator, agents: Arc::new(agents), keys: Arc::new(keys) }
    }

    /// Whether an agent is within the environments of a key. True for agents that the view does not know.
    pub(crate) fn key_reaches(&self, key: &ApiKey, agent: AgentId) -> bool {
        let Some(limit) = &key.environments else { return true };
        self.agent(agent).is_none_or(|agent| limit.contains(agent.environment.as_ref()))
    }
}
