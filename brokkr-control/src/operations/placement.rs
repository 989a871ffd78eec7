//! Explains which agents serve which stacks.

use brokkr_core::desired::Desired;
use brokkr_core::model::{Agent, AgentId, EntityKey, Name, Revision, Stack, StackId};
use brokkr_core::protocol::EntryAction;
use brokkr_core::store::{Listing, Page, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::BrokerResult;
use crate::operations::status::action_of;
use crate::view::PairOf;
use crate::view::placement::PlacedPair;

/// The targeting decision for one stack and one agent.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The stack.
    pub stack_id: StackId,
    /// The stack's name.
    pub stack_name: Name,
    /// The agent.
    pub agent_id: AgentId,
    /// The agent's name.
    pub agent_name: Name,
    /// Whether the agent serves the stack.
    pub matched: bool,
    /// The reasons for the decision, at least one.
    pub reasons: Vec<String>,
    /// What the agent should hold of the stack.
    pub desired: Desired<Revision>,
}

impl Placed {
    /// The action in the agent's target state; `None` if the stack is not part of it.
    pub fn action(&self) -> Option<EntryAction> {
        action_of(&self.desired)
    }
}

impl From<PlacedPair> for Placed {
    fn from(placed: PlacedPair) -> Self {
        let reasons = match placed.verdict {
            Ok(verdict) => verdict.reasons.into_iter().map(|reason| reason.into_owned()).collect(),
            Err(_) => vec!["the policy failed; the previous decision stays in effect".to_owned()],
        };
        let PairOf { stack, agent, pair, desired, .. } = placed.of;
        Self {
            stack_id: stack.id,
            stack_name: stack.name.clone(),
            agent_id: agent.id,
            agent_name: agent.name.clone(),
            matched: pair.matched,
            reasons,
            desired,
        }
    }
}

impl Broker {
    /// Lists every agent that the actor may see, of one environment or of all, with the decision for this stack, ordered by
    /// agent.
    pub async fn stack_placement(
        &self,
        actor: &Actor,
        stack: StackId,
        environment: Option<&Name>,
        page: &Page<AgentId>,
    ) -> BrokerResult<Listing<Placed, AgentId>> {
        let scope = self.authorise(actor, Action::PlacementRead, "placement.read", Some(EntityKey::Stack(stack)))?;
        self.parts.store.get::<Stack>(&scope, stack).await?;
        self.parts.view.check_fresh()?;
        let is_wanted = |agent: &Agent| environment.is_none_or(|name| agent.environment.as_ref() == Some(name));
        let is_seen = |agent: &Agent| scope.sees_agent(agent.id, &agent.registrations) && is_wanted(agent);
        let pairs = self.parts.view.place_stack(stack, page.after, page.limit.saturating_add(1), is_seen);
        Ok(Listing::collect(pairs.into_iter().map(Placed::from), page.limit, |it| it.agent_id))
    }

    /// Lists every stack that the actor may see, with the decision for this agent, ordered by stack.
    pub async fn agent_placement(
        &self,
        actor: &Actor,
        agent: AgentId,
        page: &Page<StackId>,
    ) -> BrokerResult<Listing<Placed, StackId>> {
        let scope = self.authorise(actor, Action::PlacementRead, "placement.read", Some(EntityKey::Agent(agent)))?;
        self.parts.store.get::<Agent>(&scope, agent).await?;
        self.parts.view.check_fresh()?;
        let is_seen = |stack: &Stack| scope.sees_stack(stack.id, stack.generator_id);
        let pairs = self.parts.view.place_agent(agent, page.after, page.limit.saturating_add(1), is_seen);
        Ok(Listing::collect(pairs.into_iter().map(Placed::from), page.limit, |it| it.stack_id))
    }
}
