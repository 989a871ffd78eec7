//! Authenticates callers without a query: the fleet view contains the keys.

use brokkr_core::model::{ActorRef, AgentStatus, ApiKey, AuditOutcome, Digest, EntityKey, GeneratorId, KeyOwner};
use brokkr_core::pak::Pak;
use subtle::ConstantTimeEq as _;

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};
use crate::origin::Origin;
use crate::recent::attempts::By;

impl Broker {
    /// Authenticates a presented key. Runs no query.
    ///
    /// # Errors
    ///
    /// Every invalid key gives the same [`BrokerError::Unauthenticated`]: malformed, unknown, wrong secret, expired,
    /// revoked, from a network that the key does not permit, of an agent outside of the key's environments, owner deleted, or
    /// `None`. Only retired agents get a distinct error, [`BrokerError::AgentRetired`].
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
        let actor = Actor::with_key(reference(&key), key.clone(), origin.clone());
        let refused = if !is_from_its_networks(&key, origin) {
            Some("source-network")
        } else if actor.agent_id().is_some_and(|id| !self.parts.view.key_reaches(&key, id)) {
            Some("outside-environments")
        } else {
            None
        };
        if let Some(why) = refused {
            let object = Some(EntityKey::Key(key.id));
            parts.attempts.record_problem(actor.by(), "authenticate", object, why.into(), AuditOutcome::Denied);
            return Err(BrokerError::Unauthenticated);
        }
        self.check_principal(&actor, &key)?;
        parts.activity.key_used(key.id, now);
        Ok(actor)
    }

    /// Checks that the owner of the key exists and is not retired.
    fn check_principal(&self, actor: &Actor, key: &ApiKey) -> BrokerResult<()> {
        match key.owner {
            KeyOwner::Admin | KeyOwner::AdminReadOnly => Ok(()),
            KeyOwner::Agent { id } => match self.parts.view.agent_status(id) {
                None => Err(BrokerError::Unauthenticated),
                Some(AgentStatus::Retired) => {
                    self.failed(actor, "authenticate", Some(EntityKey::Agent(id)), &BrokerError::AgentRetired);
                    Err(BrokerError::AgentRetired)
                }
                Some(AgentStatus::Active | AgentStatus::Cordoned) => Ok(()),
            },
            KeyOwner::Generator { id } if self.parts.view.has_generator(id) => Ok(()),
            KeyOwner::Generator { .. } => Err(BrokerError::Unauthenticated),
        }
    }

    /// The host acting on its own behalf, with the rights of an admin.
    ///
    /// Within a request, add [`Actor::in_request`], so that audit records contain the request id.
    pub fn system_actor(&self) -> Actor {
        Actor::of_host(ActorRef::System)
    }

    /// A generator as the actor, for a caller that the host has authenticated itself. The actor has the rights of a
    /// publisher: it sees and changes only its own stacks.
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
        Ok(Actor::of_host(ActorRef::Generator { id, key_id: None }))
    }

    /// Audits a caller without a valid key. Many such attempts share one record.
    pub(super) fn record_unauthenticated(&self, origin: &Origin) {
        let anonymous = By { actor: ActorRef::Anonymous, subject: None, origin };
        self.parts.attempts.record(anonymous, "authenticate", None, &BrokerError::Unauthenticated);
    }
}

fn reference(key: &ApiKey) -> ActorRef {
    let key_id = key.id;
    match key.owner {
        KeyOwner::Admin => ActorRef::Admin { key_id },
        KeyOwner::AdminReadOnly => ActorRef::AdminReadOnly { key_id },
        KeyOwner::Agent { id } => ActorRef::Agent { id, key_id: Some(key_id) },
        KeyOwner::Generator { id } => ActorRef::Generator { id, key_id: Some(key_id) },
    }
}

/// Whether the key may be used from the origin. A caller without an address is in no network.
fn is_from_its_networks(key: &ApiKey, origin: &Origin) -> bool {
    let contains = |address| key.source_networks.iter().any(|network| network.contains(address));
    key.source_networks.is_empty() || origin.address.is_some_and(contains)
}
