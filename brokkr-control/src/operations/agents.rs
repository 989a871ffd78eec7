//! Operations on agents.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    Agent, AgentId, AgentSession, AgentStatus, AssignmentState, Change, EntityKey, GeneratorId, GeneratorPrincipal,
    Grant, GrantId, KeyOwner, Timestamp, Version, limits, validate_text,
};
use brokkr_core::store::{EntityQuery, Listing, Page, Precondition, Scope, StoreError, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::access::key_terms::KeyTerms;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::generators::expect_version;
use crate::operations::keys::{NewPak, revoke_all};
use crate::view::CATCH_UP;

/// Input of [`Broker::agent_create`].
#[derive(Debug, Clone, Default)]
pub struct NewAgent {
    /// A DNS label, unique among agents.
    pub name: String,
    /// The name of the cluster that the agent serves. For display only.
    pub cluster_name: String,
    /// Labels. Targeting rules select agents by them.
    pub labels: BTreeMap<String, String>,
    /// Annotations. Targeting rules can match them.
    pub annotations: BTreeMap<String, String>,
    /// The generators whose stacks the agent serves, with the grant of each; without a grant, [`default_grant`] decides.
    /// `None`: the system generator.
    pub registrations: Option<Vec<(GeneratorId, Option<GrantId>)>>,
}

impl NewAgent {
    /// An agent with this name that serves the system generator, without labels.
    ///
    /// ```
    /// use brokkr_control::NewAgent;
    ///
    /// let edge = NewAgent::named("edge-1").label("region", "eu");
    /// ```
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }
}

/// Changes to an agent; `None` keeps a field.
#[derive(Debug, Clone, Default)]
pub struct AgentPatch {
    /// The name of the cluster that the agent serves. For display only.
    pub cluster_name: Option<String>,
    /// Replaces all labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Replaces all annotations.
    pub annotations: Option<BTreeMap<String, String>>,
    /// The new status.
    pub status: Option<AgentStatus>,
}

/// An agent with the details from its reports.
#[derive(Debug, Clone)]
pub struct AgentDetails {
    /// The agent. A generator sees only its own id among the registrations.
    pub agent: Agent,
    /// Time of the agent's last poll or report; `None` before the first one.
    pub last_seen_at: Option<Timestamp>,
    /// Optional protocol features that the agent supports.
    pub capabilities: BTreeSet<String>,
    /// The agent's last session; `None` in lists and before the first report.
    pub session: Option<AgentSession>,
}

/// The grant of a registration that names none: `unrestricted` for the system generator, whose stacks admins publish, and
/// `default` for all others.
pub fn default_grant(generator: GeneratorId) -> GrantId {
    if generator == GeneratorId::SYSTEM { GrantId::UNRESTRICTED } else { GrantId::DEFAULT }
}

/// What is wrong with a body that names the generator of a failed [`Broker::registrable`]; other errors as they are.
pub(super) fn unknown_generator(error: BrokerError) -> Result<Invalid, BrokerError> {
    match error {
        BrokerError::NotFound => Ok(Invalid::new(InvalidCode::ReferenceInvalid, "there is no generator with this id")),
        error => Err(error),
    }
}

impl Broker {
    /// Creates an agent and its first key.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] for an invalid field, [`BrokerError::AlreadyExists`] if the name is taken,
    /// [`BrokerError::LimitReached`] for more than 256 generators.
    pub async fn agent_create(&self, actor: &Actor, new: NewAgent) -> BrokerResult<(Agent, NewPak)> {
        const NAME: &str = "agent.create";
        let scope = self.authorise(actor, Action::AgentManage, NAME, None)?;
        self.permit(actor, Action::KeyManage, NAME, None)?;
        self.decide_once(actor, NAME, None, || async {
            let now = self.now();
            validate_text(&new.cluster_name, limits::SHORT_TEXT_CHARACTERS)
                .map_err(|error| error.within("cluster_name"))?;
            let wanted = new.registrations.clone().unwrap_or_else(|| vec![(GeneratorId::SYSTEM, None)]);
            let granted = |(id, grant): (GeneratorId, Option<GrantId>)| (id, grant.unwrap_or(default_grant(id)));
            let wanted: Vec<_> = wanted.into_iter().map(granted).collect();
            let agent = Agent {
                id: self.new_id(),
                name: new.name.parse().map_err(|error: Invalid| error.within("name"))?,
                cluster_name: new.cluster_name.clone(),
                labels: new.labels.clone().try_into().map_err(|error: Invalid| error.within("labels"))?,
                annotations: new
                    .annotations
                    .clone()
                    .try_into()
                    .map_err(|error: Invalid| error.within("annotations"))?,
                status: AgentStatus::Active,
                registrations: wanted.iter().copied().collect(),
                confirmed_epoch: None,
                version: Version::FIRST,
                created_at: now,
                updated_at: now,
                deleted_at: None,
            };
            if agent.registrations.len() > limits::REGISTRATIONS {
                return Err(BrokerError::LimitReached(
                    "an agent can serve at most 256 generators; end a registration first",
                ));
            }
            let pak = self.mint(actor, agent.id.into(), "initial", KeyTerms::default(), now)?;
            let mut decision = Decision::commit((agent.clone(), pak), Vec::new());
            decision.object = Some(EntityKey::Agent(agent.id));
            for (n, (id, grant)) in wanted.into_iter().enumerate() {
                let found = self.registrable(&scope, id, grant).await.map_err(|error| match unknown_generator(error) {
                    Ok(invalid) => invalid.within(&n.to_string()).within("generator_ids").into(),
                    Err(error) => error,
                });
                decision.preconditions.extend(found?);
            }
            decision.changes = vec![Change::Key(decision.outcome.1.key.clone()), Change::Agent(agent)];
            Ok(decision)
        })
        .await
    }

    /// Returns an agent.
    pub async fn agent_get(&self, actor: &Actor, id: AgentId) -> BrokerResult<Agent> {
        let scope = self.authorise(actor, Action::AgentRead, "agent.read", Some(EntityKey::Agent(id)))?;
        Ok(as_seen_by(&scope, self.parts.store.get::<Agent>(&scope, id).await?))
    }

    /// Returns an agent with the details from its reports.
    pub async fn agent_details(&self, actor: &Actor, id: AgentId) -> BrokerResult<AgentDetails> {
        let scope = self.authorise(actor, Action::AgentRead, "agent.read", Some(EntityKey::Agent(id)))?;
        let agent = as_seen_by(&scope, self.parts.store.get::<Agent>(&scope, id).await?);
        let session = self.parts.store.agent_session(&scope, id).await?;
        let last_seen_at = self.last_seen(&scope, &[id]).await?.get(&id).copied();
        let capabilities = session.as_ref().map(|it| it.capabilities.clone()).unwrap_or_default();
        // They may be those of other tenants.
        let unknown = |it: &AgentSession| if scope == Scope::All { it.unknown_stacks.clone() } else { Vec::new() };
        let session = session.map(|it| AgentSession { unknown_stacks: unknown(&it), ..it });
        Ok(AgentDetails { agent, last_seen_at, capabilities, session })
    }

    /// Lists the agents that the actor may see and that match the filter.
    pub async fn agent_list(
        &self,
        actor: &Actor,
        filter: &EntityQuery,
        page: &Page<AgentId>,
    ) -> BrokerResult<Listing<AgentDetails, AgentId>> {
        let scope = self.authorise(actor, Action::AgentRead, "agent.read", None)?;
        let agents = self.parts.store.list::<Agent>(&scope, filter, page).await?;
        let ids: Vec<AgentId> = agents.items.iter().map(|agent| agent.id).collect();
        let seen = self.last_seen(&scope, &ids).await?;
        let capabilities = self.parts.store.agent_capabilities(&scope, &ids).await?;
        let mut capabilities: BTreeMap<_, _> = capabilities.into_iter().collect();
        Ok(agents.map(|agent| AgentDetails {
            last_seen_at: seen.get(&agent.id).copied(),
            capabilities: capabilities.remove(&agent.id).unwrap_or_default(),
            agent: as_seen_by(&scope, agent),
            session: None,
        }))
    }

    /// The time of each agent's last poll or report.
    pub(super) async fn last_seen(&self, scope: &Scope, ids: &[AgentId]) -> BrokerResult<BTreeMap<AgentId, Timestamp>> {
        let mut seen: BTreeMap<_, _> = self.parts.store.agent_last_seen(scope, ids).await?.into_iter().collect();
        for id in ids {
            // Activity on this replica that is not yet written to the store.
            if let Some(at) = self.parts.activity.last_seen(*id) {
                let newest = seen.entry(*id).or_insert(at);
                *newest = at.max(*newest);
            }
        }
        Ok(seen)
    }

    /// Updates an agent if it has the expected version.
    pub async fn agent_update(
        &self,
        actor: &Actor,
        id: AgentId,
        expected: Option<Version>,
        edit: impl Fn(&Agent) -> Result<AgentPatch, Invalid>,
    ) -> BrokerResult<Agent> {
        const NAME: &str = "agent.update";
        let scope = self.authorise(actor, Action::AgentManage, NAME, Some(EntityKey::Agent(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Agent(id)), || async {
            let before = self.parts.store.get::<Agent>(&scope, id).await?;
            expect_version(expected, before.version)?;
            let patch = edit(&before)?;
            let mut after = before.clone();
            if let Some(name) = patch.cluster_name {
                validate_text(&name, limits::SHORT_TEXT_CHARACTERS).map_err(|error| error.within("cluster_name"))?;
                after.cluster_name = name;
            }
            if let Some(labels) = patch.labels {
                after.labels = labels.try_into().map_err(|error: Invalid| error.within("labels"))?;
            }
            if let Some(annotations) = patch.annotations {
                after.annotations = annotations.try_into().map_err(|error: Invalid| error.within("annotations"))?;
            }
            after.status = patch.status.unwrap_or(after.status);
            if after == before {
                return Ok(Decision::nothing(before));
            }
            let now = self.now();
            after.version = before.version.next();
            after.updated_at = now;
            let is_retired = after.status == AgentStatus::Retired;
            let mut decision = Decision::update(after.clone(), &before, after);
            if is_retired {
                decision.changes.extend(self.abandon_all(&scope, id, now).await?);
            }
            Ok(decision)
        })
        .await
    }

    /// Deletes an agent and revokes its keys. Stacks no longer wait for its confirmations.
    pub async fn agent_delete(&self, actor: &Actor, id: AgentId) -> BrokerResult<()> {
        const NAME: &str = "agent.delete";
        let scope = self.authorise(actor, Action::AgentManage, NAME, Some(EntityKey::Agent(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Agent(id)), || async {
            let mut agent = self.parts.store.get::<Agent>(&scope, id).await?;
            let now = self.now();
            agent.version = agent.version.next();
            agent.updated_at = now;
            agent.deleted_at = Some(now);
            let mut changes = vec![Change::Agent(agent)];
            changes.extend(revoke_all(self, &scope, KeyOwner::Agent { id }, now).await?);
            changes.extend(self.abandon_all(&scope, id, now).await?);
            Ok(Decision::commit((), changes))
        })
        .await?;
        self.parts.activity.forget(id);
        Ok(())
    }

    /// Abandons all open assignments of an agent.
    async fn abandon_all(&self, scope: &Scope, id: AgentId, now: Timestamp) -> BrokerResult<Vec<Change>> {
        let open = self.parts.view.open_of_agent(id);
        let assignments = self.parts.store.assignment_find(scope, id, &open).await?;
        let abandoned = assignments.into_iter().filter(|it| it.is_open()).map(|mut it| {
            it.version = it.version.next();
            it.state = AssignmentState::Abandoned;
            it.updated_at = now;
            Change::Assignment(it)
        });
        Ok(abandoned.collect())
    }

    /// Registers an agent with a generator: the agent then serves the generator's stacks, as far as the grant allows. Sets
    /// the grant if the agent is registered already. `None`: [`default_grant`] decides for a new registration, and an
    /// existing one stays as it is.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] if there is no such grant, [`BrokerError::LimitReached`] for more than 256 generators.
    pub async fn agent_register(
        &self,
        actor: &Actor,
        id: AgentId,
        generator: GeneratorId,
        grant: Option<GrantId>,
    ) -> BrokerResult<Agent> {
        const NAME: &str = "agent.register";
        let scope = self.authorise(actor, Action::AgentRegister, NAME, Some(EntityKey::Agent(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Agent(id)), || async {
            let before = self.parts.store.get::<Agent>(&scope, id).await?;
            let present = before.registrations.get(&generator).copied();
            let grant = grant.or(present).unwrap_or(default_grant(generator));
            let preconditions = self.registrable(&scope, generator, grant).await?;
            if present == Some(grant) {
                return Ok(Decision::nothing(before));
            }
            let mut agent = before.clone();
            agent.registrations.insert(generator, grant);
            if agent.registrations.len() > limits::REGISTRATIONS {
                return Err(BrokerError::LimitReached(
                    "an agent can serve at most 256 generators; end a registration first",
                ));
            }
            agent.version = agent.version.next();
            agent.updated_at = self.now();
            let decision = Decision::update(agent.clone(), &before, agent);
            let decision = preconditions.into_iter().fold(decision, Decision::provided);
            Ok(decision.detail(format!("generator {generator}, grant {grant}")))
        })
        .await
    }

    /// Reads a generator and a grant. Returns the preconditions that both still exist unchanged at the commit.
    pub(super) async fn registrable(
        &self,
        scope: &Scope,
        generator: GeneratorId,
        grant: GrantId,
    ) -> BrokerResult<[Precondition; 2]> {
        let principal = self.parts.store.get::<GeneratorPrincipal>(scope, generator).await?;
        let found = match self.parts.store.get::<Grant>(scope, grant).await {
            Err(StoreError::NotFound) => {
                let invalid = Invalid::new(InvalidCode::ReferenceInvalid, "there is no grant with this id");
                return Err(invalid.within("grant_id").into());
            }
            found => found?,
        };
        Ok([
            Precondition::Version(EntityKey::Generator(generator), principal.version),
            Precondition::Version(EntityKey::Grant(grant), found.version),
        ])
    }

    /// Ends a registration. The agent removes the generator's stacks.
    pub async fn agent_unregister(&self, actor: &Actor, id: AgentId, generator: GeneratorId) -> BrokerResult<()> {
        const NAME: &str = "agent.unregister";
        let action = if actor.generator_id().is_some() { Action::OwnUnregister } else { Action::AgentUnregister };
        let scope = self.authorise(actor, action, NAME, Some(EntityKey::Agent(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Agent(id)), || async {
            if actor.generator_id().is_some_and(|own| own != generator) {
                return Err(BrokerError::NotFound);
            }
            let before = self.parts.store.get::<Agent>(&scope, id).await?;
            let mut agent = before.clone();
            if agent.registrations.remove(&generator).is_none() {
                return Err(BrokerError::NotFound);
            }
            agent.version = agent.version.next();
            agent.updated_at = self.now();
            Ok(Decision::update((), &before, agent).detail(generator.to_string()))
        })
        .await
    }

    /// Ends all registrations with a generator that is being deleted. Returns the agents before and after.
    pub(crate) async fn unregister_all(
        &self,
        scope: &Scope,
        generator: GeneratorId,
        now: Timestamp,
    ) -> BrokerResult<Vec<(Agent, Agent)>> {
        let mut changes = Vec::new();
        let mut page = Page::first(limits::PAGE_MAX);
        loop {
            let agents = self.parts.store.list::<Agent>(scope, &EntityQuery::default(), &page).await?;
            for before in agents.items {
                let mut agent = before.clone();
                if agent.registrations.remove(&generator).is_some() {
                    agent.version = agent.version.next();
                    agent.updated_at = now;
                    changes.push((before, agent));
                }
            }
            match agents.next {
                Some(next) => page.after = Some(next),
                None => return Ok(changes),
            }
        }
    }

    /// Allows an agent to remove and prune objects after the epoch has changed.
    pub async fn agent_confirm_epoch(&self, actor: &Actor, id: AgentId) -> BrokerResult<Agent> {
        const NAME: &str = "agent.confirm-epoch";
        let scope = self.authorise(actor, Action::ConfirmEpoch, NAME, Some(EntityKey::Agent(id)))?;
        // The confirmation applies to the current epoch, so the view must be up to date.
        self.parts.view.refreshed(CATCH_UP).await?;
        self.decide(actor, NAME, Some(EntityKey::Agent(id)), || async {
            let before = self.parts.store.get::<Agent>(&scope, id).await?;
            let mut agent = before.clone();
            if agent.confirmed_epoch.replace(self.epoch()) == Some(self.epoch()) {
                return Ok(Decision::nothing(agent));
            }
            agent.version = agent.version.next();
            agent.updated_at = self.now();
            Ok(Decision::update(agent.clone(), &before, agent).detail(self.epoch().to_string()))
        })
        .await
    }

    /// Returns an agent that the actor has just changed, with the details from its reports. Needs no scope for reading.
    pub async fn agent_changed(&self, actor: &Actor, agent: Agent) -> BrokerResult<AgentDetails> {
        let (scope, id) = (self.scope(actor), agent.id);
        let session = self.parts.store.agent_session(&scope, id).await?;
        let last_seen_at = self.last_seen(&scope, &[id]).await?.get(&id).copied();
        let capabilities = session.as_ref().map(|it| it.capabilities.clone()).unwrap_or_default();
        Ok(AgentDetails { agent: as_seen_by(&scope, agent), last_seen_at, capabilities, session })
    }
}

/// Hides the agent's other generators from a generator.
fn as_seen_by(scope: &Scope, mut agent: Agent) -> Agent {
    if let Scope::Generator(own) = scope {
        agent.registrations.retain(|id, _| id == own);
    }
    agent
}
