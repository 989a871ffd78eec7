//! The authenticated caller of an operation.

use std::sync::Arc;

use brokkr_core::model::{ActorRef, AgentId, GeneratorId, KeyId, KeyKind, RequestId};

use crate::access::idempotency::Idempotency;
use crate::intake::parsing::Turn;
use crate::origin::Origin;

/// The authenticated caller of an operation.
///
/// Only [`Broker::authenticate`](crate::broker::Broker::authenticate) creates actors for callers, and
/// [`Broker::system_actor`](crate::broker::Broker::system_actor) and
/// [`Broker::generator_actor`](crate::broker::Broker::generator_actor) for the host itself. An `Actor` therefore proves
/// authentication.
#[derive(Debug, Clone)]
pub struct Actor {
    pub(crate) who: ActorRef,
    pub(crate) origin: Origin,
    /// Present if the request has an idempotency key.
    pub(crate) idempotency: Option<Arc<Idempotency>>,
    /// The turn to parse that all work of the request shares.
    pub(crate) turn: Option<Arc<Turn>>,
}

impl Actor {
    /// Returns the actor with an idempotency key: its next creating operation commits at most once per key.
    #[must_use]
    pub fn repeating(mut self, idempotency: Arc<Idempotency>) -> Self {
        self.idempotency = Some(idempotency);
        self
    }

    /// Returns the actor with the origin of a request, which the audit records contain.
    #[must_use]
    pub fn in_request(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Returns the actor with the turn of its request: all [blocking work](crate::Broker::run_blocking) of the request counts
    /// as one, until the turn is dropped. Without it each piece of work takes a turn of its own.
    #[must_use]
    pub fn in_turn(mut self, turn: Arc<Turn>) -> Self {
        self.turn = Some(turn);
        self
    }

    /// The actor without its key, so that several keys of one agent or generator share its part of a budget.
    pub fn principal(&self) -> ActorRef {
        match self.who {
            ActorRef::Agent { id, .. } => ActorRef::Agent { id, key_id: None },
            ActorRef::Generator { id, .. } => ActorRef::Generator { id, key_id: None },
            who => who,
        }
    }

    /// The actor's identity as the audit and the changes record it.
    pub fn reference(&self) -> ActorRef {
        self.who
    }

    /// The id of the request that the actor is part of.
    pub fn request_id(&self) -> RequestId {
        self.origin.request_id
    }

    /// The kind of key that decides the actor's permissions. The system has those of an admin.
    pub fn kind(&self) -> KeyKind {
        match self.who {
            ActorRef::System | ActorRef::Admin { .. } => KeyKind::Admin,
            // Anonymous callers never reach an operation; this arm makes sure that they could not write.
            ActorRef::Anonymous | ActorRef::AdminReadOnly { .. } => KeyKind::AdminReadOnly,
            ActorRef::Agent { .. } => KeyKind::Agent,
            ActorRef::Generator { .. } => KeyKind::Generator,
        }
    }

    /// The presented key; `None` for actors without a key.
    pub(crate) fn key_id(&self) -> Option<KeyId> {
        match self.who {
            ActorRef::System | ActorRef::Anonymous => None,
            ActorRef::Admin { key_id } | ActorRef::AdminReadOnly { key_id } => Some(key_id),
            ActorRef::Agent { key_id, .. } | ActorRef::Generator { key_id, .. } => key_id,
        }
    }

    /// The agent's id; `None` if the actor is not an agent.
    pub fn agent_id(&self) -> Option<AgentId> {
        match self.who {
            ActorRef::Agent { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The generator's id; `None` if the actor is not a generator.
    pub fn generator_id(&self) -> Option<GeneratorId> {
        match self.who {
            ActorRef::Generator { id, .. } => Some(id),
            _ => None,
        }
    }
}
