//! From a presented key to an actor, without a query: keys are part of the fleet view.

use subtle::ConstantTimeEq as _;

use super::{Actor, Broker, BrokerError, BrokerResult, Origin, Pak};
use crate::model::{ActorRef, AgentStatus, ApiKey, Digest, KeyOwner};

impl Broker {
    /// The actor for a presented key.
    ///
    /// Every way of not being valid is the same [`BrokerError::Unauthenticated`]: malformed, unknown, wrong
    /// secret, expired, revoked, owner deleted. Only a retired agent is told so.
    pub fn authenticate(&self, presented: &str, origin: Origin) -> BrokerResult<Actor> {
        let parts = &self.parts;
        // A view that is too old may not know what was revoked.
        parts.view.check_fresh()?;
        let Ok((short_id, hash)) = Pak::parse(presented) else {
            return Err(BrokerError::Unauthenticated);
        };
        let key = parts.view.key(short_id);
        // An unknown id costs the same comparison as a known one.
        let expected = key.as_ref().map_or_else(|| Digest::of(b""), |key| key.hash);
        let equal: bool = expected.as_bytes().ct_eq(hash.as_bytes()).into();
        let Some(key) = key.filter(|_| equal) else {
            return Err(BrokerError::Unauthenticated);
        };
        if key.expires_at.is_some_and(|end| end <= parts.clock.now()) {
            return Err(BrokerError::Unauthenticated);
        }
        let who = self.key_owner(&key)?;
        parts.activity.key_used(key.id, parts.clock.now());
        Ok(Actor { who, origin })
    }

    fn key_owner(&self, key: &ApiKey) -> BrokerResult<ActorRef> {
        let key_id = key.id;
        match key.owner {
            KeyOwner::Admin => Ok(ActorRef::Admin { key_id }),
            KeyOwner::AdminReadOnly => Ok(ActorRef::AdminReadOnly { key_id }),
            KeyOwner::Agent { id } => match self.parts.view.agent(id).map(|agent| agent.status) {
                None => Err(BrokerError::Unauthenticated),
                Some(AgentStatus::Retired) => Err(BrokerError::AgentRetired),
                Some(AgentStatus::Active | AgentStatus::Cordoned) => Ok(ActorRef::Agent { id, key_id: Some(key_id) }),
            },
            KeyOwner::Generator { id } if self.parts.view.has_generator(id) => {
                Ok(ActorRef::Generator { id, key_id: Some(key_id) })
            }
            KeyOwner::Generator { .. } => Err(BrokerError::Unauthenticated),
        }
    }

    /// The broker's host acting on its own account, with an admin's rights.
    pub fn system_actor(&self) -> Actor {
        Actor { who: ActorRef::System, origin: Origin::in_process() }
    }

    /// Records that somebody presented no valid key; under a flood many are counted in one record.
    pub fn record_unauthenticated(&self, origin: &Origin) {
        let actor = Actor { who: ActorRef::Anonymous, origin: origin.clone() };
        self.parts.attempts.record(&actor, "authenticate", None, &BrokerError::Unauthenticated, self.parts.clock.now());
    }
}
