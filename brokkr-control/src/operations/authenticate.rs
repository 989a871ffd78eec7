//! From a presented key to an actor, without a query: keys are part of the fleet view.

use brokkr_core::model::{ActorRef, AgentStatus, ApiKey, AuditOutcome, Digest, EntityKey, KeyOwner};
use subtle::ConstantTimeEq as _;

use crate::access::actor::{Actor, Origin};
use crate::access::pak::Pak;
use crate::broker::Broker;
use crate::error::BrokerError;
use crate::error::BrokerResult;

impl Broker {
    /// The actor for a presented key.
    ///
    /// Every way of not being valid is the same [`BrokerError::Unauthenticated`]: malformed, unknown, wrong
    /// secret, expired, revoked, owner deleted. Only a retired agent is told so. A refusal is recorded.
    pub fn authenticate(&self, presented: &str, origin: Origin) -> BrokerResult<Actor> {
        let result = self.actor_of(presented, &origin);
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
        // An unknown id costs the same comparison as a known one.
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
        Ok(Actor { who, origin: origin.clone(), idempotency: None })
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
                    let actor = Actor { who, origin: origin.clone(), idempotency: None };
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

    /// The broker's host acting on its own account, with an admin's rights.
    pub fn system_actor(&self) -> Actor {
        Actor { who: ActorRef::System, origin: Origin::in_process(), idempotency: None }
    }

    /// Records that somebody presented no valid key; under a flood many are counted in one record.
    pub fn record_unauthenticated(&self, origin: &Origin) {
        let actor = Actor { who: ActorRef::Anonymous, origin: origin.clone(), idempotency: None };
        self.parts.attempts.record(&actor, "authenticate", None, &BrokerError::Unauthenticated, self.parts.clock.now());
    }

    /// Records a request that was refused before it became an operation: `what` says which request and why, in one of a
    /// bounded number of forms.
    pub fn record_refused(&self, actor: &Actor, what: String) {
        let now = self.parts.clock.now();
        self.parts.attempts.record_problem(actor, "request", None, what.into(), AuditOutcome::Failed, now);
    }
}
