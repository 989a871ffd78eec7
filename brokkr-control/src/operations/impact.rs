//! What a wanted change gives to the agents of an environment, and what it takes from them.

use std::collections::BTreeMap;

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    Agent, AgentId, Environment, EnvironmentId, GeneratorId, GeneratorPrincipal, Name, Stack, StackId, agent_labels,
};
use brokkr_core::store::{Listing, Page, Scope, StoreError, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::agents::beside_environment;
use crate::view::impact::ChangedPair;

/// A change that somebody wants to make. Input of [`Broker::environment_impact`].
#[derive(Debug, Clone)]
pub enum WantedChange {
    /// A change of an agent.
    Agent {
        /// The agent.
        id: AgentId,
        /// The name of its new environment, `Some(None)` for none; `None` keeps the environment.
        environment: Option<Option<String>>,
        /// Labels to set; `None` removes a label.
        labels: BTreeMap<String, Option<String>>,
    },
    /// A change of the environments to which a generator is limited.
    Generator {
        /// The generator.
        id: GeneratorId,
        /// The names of the environments; `None`: all agents.
        environments: Option<Vec<String>>,
    },
}

/// A stack that an agent would get or lose.
#[derive(Debug, Clone)]
pub struct Impact {
    /// The stack.
    pub stack_id: StackId,
    /// The stack's name.
    pub stack_name: Name,
    /// The agent.
    pub agent_id: AgentId,
    /// The agent's name.
    pub agent_name: Name,
    /// Whether the agent gets the stack; otherwise it loses it.
    pub gains: bool,
    /// The reasons for the decision after the change, at least one.
    pub reasons: Vec<String>,
}

impl From<ChangedPair> for Impact {
    fn from(it: ChangedPair) -> Self {
        Self {
            stack_id: it.stack.id,
            stack_name: it.stack.name.clone(),
            agent_id: it.agent.id,
            agent_name: it.agent.name.clone(),
            gains: it.gains,
            reasons: it.verdict.reasons.into_iter().map(|reason| reason.into_owned()).collect(),
        }
    }
}

fn absent(what: &str, kind: &str) -> impl Fn(StoreError) -> BrokerError {
    let (message, kind) = (format!("there is no {what} with this id"), kind.to_owned());
    move |error| match error {
        StoreError::NotFound => {
            Invalid::new(InvalidCode::ReferenceInvalid, message.clone()).within("id").within(&kind).into()
        }
        error => error.into(),
    }
}

impl Broker {
    /// Lists the stacks that agents of an environment would get or lose by a change, ordered by stack and agent. Changes
    /// nothing. `environment` is an id or a name. Counted are the agents that are in the environment now, or would be.
    ///
    /// One page looks at a limited number of pairs, so that it may be shorter than its limit, or empty, although more follow.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] if there is no such environment, [`BrokerError::Invalid`] for an invalid change.
    pub async fn environment_impact(
        &self,
        actor: &Actor,
        environment: &str,
        change: &WantedChange,
        page: &Page<(StackId, AgentId)>,
    ) -> BrokerResult<Listing<Impact, (StackId, AgentId)>> {
        const NAME: &str = "environment.impact";
        let scope = self.authorise(actor, Action::EnvironmentRead, NAME, None)?;
        self.permit(actor, Action::PlacementRead, NAME, None)?;
        let environment = match environment.parse::<EnvironmentId>() {
            Ok(id) => self.parts.store.get::<Environment>(&scope, id).await?,
            Err(_) => self.named::<Environment>(&scope, environment).await?,
        };
        self.parts.view.check_fresh()?;
        let (changed, next) = match change {
            WantedChange::Agent { id, environment: wanted, labels } => {
                let after = self.agent_after(&scope, *id, wanted.as_ref(), labels, &environment.name).await?;
                let is_seen = |stack: &Stack| scope.sees_stack(stack.id, stack.generator_id);
                self.parts.view.impact_of_agent(&after, page.after, page.limit, is_seen)
            }
            WantedChange::Generator { id, environments } => {
                let found = self.parts.store.get::<GeneratorPrincipal>(&scope, *id).await;
                let before = found.map_err(absent("generator", "generator"))?;
                let limit = self.limit_of(&scope, environments.as_deref()).await;
                let environments = limit.map_err(|error| error.within("generator"))?.0;
                let after = GeneratorPrincipal { environments, ..before };
                let is_in = |agent: &Agent| agent.environment.as_ref() == Some(&environment.name);
                let is_seen = |agent: &Agent| is_in(agent) && scope.sees_agent(agent.id, &agent.registrations);
                self.parts.view.impact_of_generator(&after, page.after, page.limit, is_seen)
            }
        };
        Ok(Listing { items: changed.into_iter().map(Impact::from).collect(), next })
    }

    /// The agent as it would be. Refuses a change that does not concern the environment.
    async fn agent_after(
        &self,
        scope: &Scope,
        id: AgentId,
        wanted: Option<&Option<String>>,
        labels: &BTreeMap<String, Option<String>>,
        concerned: &Name,
    ) -> BrokerResult<Agent> {
        let before = self.parts.store.get::<Agent>(scope, id).await.map_err(absent("agent", "agent"))?;
        let mut after = before.clone();
        if let Some(wanted) = wanted {
            let found = self.wanted_environment(scope, wanted.as_deref()).await;
            after.environment = found.map_err(|error| error.within("agent"))?.0;
        }
        if ![&before, &after].iter().any(|agent| agent.environment.as_ref() == Some(concerned)) {
            let message =
                "the agent is not in this environment, neither before nor after the change; ask about its own";
            return Err(Invalid::new(InvalidCode::FieldInvalid, message).within("environment").within("agent").into());
        }
        let mut all = beside_environment(before.labels.clone().into(), &before);
        for (key, value) in labels {
            match value {
                Some(value) => drop(all.insert(key.clone(), value.clone())),
                None => drop(all.remove(key)),
            }
        }
        let labels = agent_labels(all, after.environment.as_ref());
        after.labels = labels.map_err(|error| error.within("labels").within("agent"))?;
        Ok(after)
    }
}
