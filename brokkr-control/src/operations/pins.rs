//! Operations on pins.

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    AgentId, EntityKey, FrozenRevision, Pin, PinId, Revision, Stack, StackId, Timestamp, Version,
};
use brokkr_core::store::{Listing, Page, Precondition, Scope, StoreError, StoreExt as _};

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};
use crate::operations::releases::check_reason;

/// Input of [`Broker::pin_set`].
#[derive(Debug, Clone)]
pub struct NewPin {
    /// The revision that the agent holds.
    pub revision: Revision,
    /// The reason, for people.
    pub reason: String,
    /// The time after which the broker removes the pin. `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Broker {
    /// Makes an agent hold one revision of a stack, whatever is newest or stable. Replaces the pin of the pair, if there is
    /// one.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Invalid`] if the revision does not exist or the time has passed,
    /// [`BrokerError::EnvironmentProtected`] if the revision was never stable in the agent's protected environment and the
    /// actor may not break the glass.
    pub async fn pin_set(&self, actor: &Actor, stack: StackId, agent: AgentId, new: NewPin) -> BrokerResult<Pin> {
        const NAME: &str = "pin.set";
        let id = PinId::of(stack, agent);
        let scope = self.authorise(actor, Action::PinManage, NAME, Some(EntityKey::Pin(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Pin(id)), || async {
            check_reason(&new.reason)?;
            let now = self.now();
            if new.expires_at.is_some_and(|end| end <= now) {
                return Err(Invalid::new(InvalidCode::FieldInvalid, "the time has passed").within("expires_at").into());
            }
            let found = self.active_stack(&scope, stack).await?;
            let serving = self.agent_within_limit(actor, &scope, agent).await?;
            let object = self.named_revision(&scope, stack, new.revision).await?;
            let place = self.place_of(&found, &serving).await?;
            place.check_protected(actor, new.revision)?;
            let before = self.pin(id).await?;
            let version = match &before {
                Some(before) => before.version.next(),
                // A tombstone has a version too.
                None => self.parts.store.entity_version(EntityKey::Pin(id)).await?.unwrap_or(Version::new(0)).next(),
            };
            let after = Pin {
                id,
                stack_id: stack,
                agent_id: agent,
                generator_id: found.generator_id,
                revision: FrozenRevision::from(&object),
                reason: new.reason.clone(),
                created_by: actor.reference(),
                expires_at: new.expires_at,
                version,
                created_at: before.as_ref().map_or(now, |it| it.created_at),
                updated_at: now,
                deleted_at: None,
            };
            let detail = format!("revision {}: {}", new.revision, new.reason);
            let decision = match &before {
                Some(before) => Decision::update(after.clone(), before, after),
                None => Decision::commit(after.clone(), vec![after.into()]),
            };
            let environment =
                place.environment.map(|it| Precondition::Version(EntityKey::Environment(it.id), it.version));
            let decision = environment.into_iter().fold(decision, Decision::provided);
            Ok(decision
                .provided(Precondition::Version(EntityKey::Stack(stack), found.version))
                .provided(Precondition::Version(EntityKey::Agent(agent), serving.version))
                .detail(detail))
        })
        .await
    }

    async fn pin(&self, id: PinId) -> BrokerResult<Option<Pin>> {
        match self.parts.store.get::<Pin>(&Scope::All, id).await {
            Ok(pin) => Ok(Some(pin)),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The pin as a tombstone.
    pub(super) fn lifted(&self, pin: &Pin) -> Pin {
        let now = self.now();
        Pin { version: pin.version.next(), updated_at: now, deleted_at: Some(now), ..pin.clone() }
    }

    /// Removes a pin: the agent follows what is stable or newest again.
    pub async fn pin_remove(&self, actor: &Actor, stack: StackId, agent: AgentId) -> BrokerResult<()> {
        const NAME: &str = "pin.remove";
        let id = PinId::of(stack, agent);
        let scope = self.authorise(actor, Action::PinManage, NAME, Some(EntityKey::Pin(id)))?;
        self.decide(actor, NAME, Some(EntityKey::Pin(id)), || async {
            self.parts.store.get::<Stack>(&scope, stack).await?;
            self.agent_within_limit(actor, &scope, agent).await?;
            let pin = self.pin(id).await?.ok_or(BrokerError::NotFound)?;
            Ok(Decision::commit((), vec![self.lifted(&pin).into()]))
        })
        .await
    }

    /// Removes a pin with this version, whose end has come.
    pub(crate) async fn pin_expire(&self, actor: &Actor, id: PinId, version: Version) -> BrokerResult<()> {
        self.decide(actor, "pin.expired", Some(EntityKey::Pin(id)), || async {
            let is_over = |pin: &Pin| pin.version == version && pin.expires_at.is_some_and(|end| end <= self.now());
            Ok(match self.pin(id).await?.filter(is_over) {
                Some(pin) => Decision::commit((), vec![self.lifted(&pin).into()]),
                None => Decision::nothing(()),
            })
        })
        .await
    }

    /// Lists the pins of a stack, ordered by agent.
    pub async fn pin_list(
        &self,
        actor: &Actor,
        stack: StackId,
        page: &Page<AgentId>,
    ) -> BrokerResult<Listing<Pin, AgentId>> {
        let scope = self.authorise(actor, Action::StackRead, "stack.read", Some(EntityKey::Stack(stack)))?;
        let found = self.parts.store.get::<Stack>(&scope, stack).await?;
        self.parts.view.check_fresh()?;
        let all = self.parts.view.pins_of(stack).into_iter().map(|it| (*it).clone());
        let seen = all.filter(|it| scope.sees_pair(stack, found.generator_id, it.agent_id));
        let rest = seen.filter(|it| page.after.is_none_or(|after| it.agent_id > after));
        Ok(Listing::collect(rest, page.limit, |it| it.agent_id))
    }
}
