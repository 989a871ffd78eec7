//! Authenticates callers without a query: the fleet view contains the keys.

use brokkr_core::model::{ActorRef, AgentStatus, ApiKey, Digest, EntityKey, GeneratorId, KeyOwner};
use subtle::ConstantTimeEq as _;

use crate::access::actor::Actor;
use crate::access::pak::Pak;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};
use crate::origin::Origin;

impl Broker {
    /// Authenticates a presented key. Runs no query.
    ///
    /// # Errors
    ///
    /// Every invalid key gives the same [`BrokerError::Unauthenticated`]: malformed, unknown, wrong secret, expired,
    /// revoked, owner deleted, or `None`. Only retired agents get a distinct error, [`BrokerError::AgentRetired`].
    /// [`BrokerError::Stale`] if the fleet view is too old to know about revocations. The audit records refusals.
    pub fn authenticate<'a>(&self, presented: impl Into<Option<&'a str>>, origin: Origin) -> BrokerResult<Actor> {
        let result = match presented.into() {
            Some(presented) => self.actor_of(presented, &origin),
            None => Err(BrokerError::Unauthenticated),
        };
        if let Err(BrokerError::Unauthenticated) = result {
            self.record_unauthenticated(&origin);
        }
        result
    }

    fn actor_of(&self, presented: &str, origin: &Origin) -> BrokerResult<Actor> {
        let parts = &self.parts;
        let Ok((short_id, hash)) = Pak::parse(presented) else {
            return Err(BrokerError::Unauthenticated);
        };
        let key = parts.view.key(short_id)?;
        // An unknown short id takes the same comparison as a known one, so timing does not reveal it.
        let expected = key.as_ref().map_or_else(|| Digest::of(b""), |key| key.hash);
        let equal: bool = expected.as_bytes().ct_eq(hash.as_bytes()).into();
        let Some(key) = key.filter(|_| equal) else {
            return Err(BrokerError::Unauthenticated);
        };
        let now = self.now();
        if key.expires_at.is_some_and(|end| end <= now) {
            return Err(BrokerError::Unauthenticated);
        }
        let who = self.key_owner(&key, origin)?;
        parts.activity.key_used(key.id, now);
        Ok(Actor { who, origin: origin.clone(), idempotency: None, turn: None })
    }

    fn key_owner(&self, key: &ApiKey, origin: &Origin) -> BrokerResult<ActorRef> {
        let key_id = key.id;
        match key.owner {
            KeyOwner::Admin => Ok(ActorRef::Admin { key_id }),
            KeyOwner::AdminReadOnly => Ok(ActorRef::AdminReadOnly { key_id }),
            KeyOwner::Agent { id } => match self.parts.view.agent_status(id) {
                None => Err(BrokerError::Unauthenticated),
                Some(AgentStatus::Retired) => {
                    let who = ActorRef::Agent { id, key_id: Some(key_id) };
                    let actor = Actor { who, origin: origin.clone(), idempotency: None, turn: None };
                    self.failed(&actor, "authenticate", Some(EntityKey::Agent(id)), &BrokerError::AgentRetired);
                    Err(BrokerError::AgentRetired)
                }
                Some(AgentStatus::Active | AgentStatus::Cordoned) => Ok(ActorRef::Agent { id, key_id: Some(key_id) }),
            },
            KeyOwner::Generator { id } if self.parts.view.has_generator(id) => {
                Ok(ActorRef::Generator { id, key_id: Some(key_id) })
            }
            KeyOwner::Generator { .. } => Err(BrokerError::Unauthenticated),
        }
    }

    /// The host acting on its own behalf, with the rights of an admin.
    ///
    /// Within a request, add [`Actor::in_request`], so that audit records contain the request id.
    pub fn system_actor(&self) -> Actor {
        Actor { who: ActorRef::System, origin: Origin::in_process(), idempotency: None, turn: None }
    }

    /// A generator as the actor, for a caller that the host has authenticated itself. The actor has a generator's rights: it
    /// sees and changes only its own stacks.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] if the generator does not exist, [`BrokerError::Stale`] if the fleet view is too old to
    /// know.
    pub fn generator_actor(&self, id: GeneratorId) -> BrokerResult<Actor> {
        self.parts.view.check_fresh()?;
        if !self.parts.view.has_generator(id) {
            return Err(BrokerError::NotFound);
        }
        let who = ActorRef::Generator { id, key_id: None };
        Ok(Actor { who, origin: Origin::in_process(), idempotency: None, turn: None })
    }

    /// Audits a caller without a valid key. Many such attempts share one record.
    fn record_unauthenticated(&self, origin: &Origin) {
        let anonymous = ActorRef::Anonymous;
        self.parts.attempts.record(anonymous, origin, "authenticate", None, &BrokerError::Unauthenticated);
    }
}
