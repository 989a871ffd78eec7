//! Agents for tests.

use std::collections::BTreeMap;

use brokkr_control::NewAgent;
use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::{Agent, AgentId, AgentStatus, GeneratorId, GrantId, Version, agent_labels};

/// Builds an [`Agent`]: active, registered with the system generator, without labels.
///
/// ```
/// use brokkr::testing::agent;
///
/// let edge = agent("edge-1").label("region", "eu").build();
/// assert_eq!(edge.name.as_str(), "edge-1");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct AgentBuilder {
    name: String,
    environment: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    status: AgentStatus,
    generators: Vec<GeneratorId>,
}

/// Starts building an agent with this name. The cluster gets the same name.
pub fn agent(name: impl Into<String>) -> AgentBuilder {
    AgentBuilder {
        name: name.into(),
        environment: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        status: AgentStatus::Active,
        generators: vec![GeneratorId::SYSTEM],
    }
}

impl AgentBuilder {
    /// Puts the agent into an environment, which must exist in the broker that creates the agent. Default: none.
    pub fn environment(self, name: impl Into<String>) -> Self {
        Self { environment: Some(name.into()), ..self }
    }

    /// Adds a label.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Adds an annotation.
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Sets the status. Default: active.
    pub fn status(mut self, status: AgentStatus) -> Self {
        self.status = status;
        self
    }

    /// Registers the agent with a generator, in addition to the system generator, with the grant `unrestricted`.
    /// [`Broker::agent_register`](crate::Broker::agent_register) sets another one.
    pub fn registered_with(mut self, generator: GeneratorId) -> Self {
        self.generators.push(generator);
        self
    }

    /// Builds the agent.
    ///
    /// # Panics
    ///
    /// Panics if the name, the environment, a label or an annotation is invalid.
    #[must_use]
    pub fn build(self) -> Agent {
        let now = SystemClock.now();
        let environment = self.environment.map(|name| name.parse().expect("the environment's name should be valid"));
        let labels = agent_labels(self.labels, environment.as_ref());
        Agent {
            id: AgentId::generate(),
            name: self.name.parse().expect("the agent's name should be valid"),
            cluster_name: self.name,
            environment,
            labels: labels.expect("the agent's labels should be valid"),
            annotations: self.annotations.try_into().expect("the agent's annotations should be valid"),
            status: self.status,
            suspended: None,
            registrations: self.generators.into_iter().map(|id| (id, GrantId::UNRESTRICTED)).collect(),
            confirmed_epoch: None,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }

    /// Converts to the input of [`Broker::agent_create`](crate::Broker::agent_create), which creates active agents only.
    pub(super) fn to_create(&self) -> NewAgent {
        NewAgent {
            name: self.name.clone(),
            cluster_name: self.name.clone(),
            environment: self.environment.clone(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            registrations: Some(self.generators.iter().map(|id| (*id, Some(GrantId::UNRESTRICTED))).collect()),
        }
    }
}
