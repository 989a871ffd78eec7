//! The authenticated caller of an operation.

use std::net::IpAddr;
use std::sync::Arc;

use brokkr_core::model::{ActorRef, AgentId, GeneratorId, KeyId, KeyKind, RequestId};

use crate::access::idempotency::Idempotency;

/// The origin of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The request id, which audit records, logs and error responses contain.
    pub request_id: RequestId,
    /// The caller's network address; `None` for calls within the process.
    pub address: Option<IpAddr>,
}

impl Origin {
    /// Creates an origin with a new request id and no address, for calls within the process.
    pub fn in_process() -> Self {
        Self { request_id: RequestId::generate(), address: None }
    }
}

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
