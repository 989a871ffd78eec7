//! The authenticated caller of an operation.

use std::net::IpAddr;
use std::sync::Arc;

use brokkr_core::model::{ActorRef, AgentId, GeneratorId, KeyId, KeyKind, RequestId};

use crate::access::idempotency::Idempotency;

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The request's identity, which stands in the audit and in error answers.
    pub request_id: RequestId,
    /// The network address of the caller, if there is one.
    pub address: Option<IpAddr>,
}

impl Origin {
    /// A request from within the process.
    pub fn in_process() -> Self {
        Self { request_id: RequestId::generate(), address: None }
    }
}

/// The authenticated caller of an operation.
///
/// Built only by [`Broker::authenticate`](crate::broker::Broker::authenticate) and, for the host itself, by
/// [`Broker::system_actor`](crate::broker::Broker::system_actor) and
/// [`Broker::generator_actor`](crate::broker::Broker::generator_actor): holding one is the proof.
#[derive(Debug, Clone)]
pub struct Actor {
    pub(crate) who: ActorRef,
    pub(crate) origin: Origin,
    /// Set when the request may be repeated.
    pub(crate) idempotency: Option<Arc<Idempotency>>,
}

impl Actor {
    /// The same caller in a request that may be repeated.
    #[must_use]
    pub fn repeating(mut self, idempotency: Arc<Idempotency>) -> Self {
        self.idempotency = Some(idempotency);
        self
    }

    /// The same caller in the course of this request, as the audit names it.
    #[must_use]
    pub fn in_request(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Who it is, as it is recorded.
    pub fn reference(&self) -> ActorRef {
        self.who
    }

    /// In the course of which request.
    pub fn request_id(&self) -> RequestId {
        self.origin.request_id
    }

    /// What it may be. The system acts as an admin.
    pub fn kind(&self) -> KeyKind {
        match self.who {
            ActorRef::System | ActorRef::Admin { .. } => KeyKind::Admin,
            // No operation is ever called by nobody; if one were, it could change nothing.
            ActorRef::Anonymous | ActorRef::AdminReadOnly { .. } => KeyKind::AdminReadOnly,
            ActorRef::Agent { .. } => KeyKind::Agent,
            ActorRef::Generator { .. } => KeyKind::Generator,
        }
    }

    /// The key that was presented, if there was one.
    pub(crate) fn key_id(&self) -> Option<KeyId> {
        match self.who {
            ActorRef::System | ActorRef::Anonymous => None,
            ActorRef::Admin { key_id } | ActorRef::AdminReadOnly { key_id } => Some(key_id),
            ActorRef::Agent { key_id, .. } | ActorRef::Generator { key_id, .. } => key_id,
        }
    }

    /// The agent, if it is one.
    pub fn agent_id(&self) -> Option<AgentId> {
        match self.who {
            ActorRef::Agent { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The generator, if it is one.
    pub fn generator_id(&self) -> Option<GeneratorId> {
        match self.who {
            ActorRef::Generator { id, .. } => Some(id),
            _ => None,
        }
    }
}
