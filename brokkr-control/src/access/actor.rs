//! The authenticated caller of an operation.

use std::sync::Arc;

use brokkr_core::model::{
    ActorRef, AgentId, ApiKey, EnvironmentSet, GeneratorId, JoinTokenId, KeyId, KeyKind, KeyScopes, Name, RequestId,
    SourceNetwork, Timestamp,
};
use brokkr_core::store::Fence;

use crate::access::action::Action;
use crate::access::idempotency::Idempotency;
use crate::intake::parsing::Turn;
use crate::origin::Origin;
use crate::recent::attempts::By;

/// The authenticated caller of an operation.
///
/// Only [`Broker::authenticate`](crate::broker::Broker::authenticate) creates actors for callers, and
/// [`Broker::system_actor`](crate::broker::Broker::system_actor) and
/// [`Broker::generator_actor`](crate::broker::Broker::generator_actor) for the host itself. An `Actor` therefore proves
/// authentication.
#[derive(Debug, Clone)]
pub struct Actor {
    pub(crate) who: ActorRef,
    /// `None`: the host or the holder of a join token acts, with the scopes of the actor's kind.
    key: Option<Arc<ApiKey>>,
    pub(crate) origin: Origin,
    /// Present if the request has an idempotency key.
    pub(crate) idempotency: Option<Arc<Idempotency>>,
    /// The turn to parse that all work of the request shares.
    pub(crate) turn: Option<Arc<Turn>>,
    /// The lease under which a controller acts.
    pub(crate) fence: Option<Arc<Fence>>,
}

impl Actor {
    /// The holder of a key.
    pub(super) fn with_key(who: ActorRef, key: Arc<ApiKey>, origin: Origin) -> Self {
        Self { who, key: Some(key), origin, idempotency: None, turn: None, fence: None }
    }

    /// The holder of a join token.
    pub(super) fn with_join_token(id: JoinTokenId, origin: Origin) -> Self {
        Self { who: ActorRef::JoinToken { id }, key: None, origin, idempotency: None, turn: None, fence: None }
    }

    /// The host itself, or a principal that the host has authenticated.
    pub(super) fn of_host(who: ActorRef) -> Self {
        Self { who, key: None, origin: Origin::in_process(), idempotency: None, turn: None, fence: None }
    }

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

    /// Returns the actor with the lease of a controller: all its commits are refused once the lease is lost.
    #[must_use]
    pub(crate) fn fenced(mut self, fence: Fence) -> Self {
        self.fence = Some(Arc::new(fence));
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

    /// The person or system that holds the presented key, if the key names one.
    pub fn subject(&self) -> Option<&str> {
        self.key.as_ref()?.subject.as_deref()
    }

    /// The scopes of the presented key. The system has those of an admin, a generator without a key those of a publisher.
    pub fn scopes(&self) -> KeyScopes {
        self.key.as_ref().map_or_else(|| self.kind().default_scopes(), |key| key.scopes.clone())
    }

    /// The environments to which the presented key is limited; `None`: not limited.
    pub fn environments(&self) -> Option<&EnvironmentSet> {
        self.key.as_ref()?.environments.as_ref()
    }

    /// Whether the actor's key reaches agents in this environment. `None`: agents without an environment.
    pub(crate) fn reaches(&self, environment: Option<&Name>) -> bool {
        self.environments().is_none_or(|limit| limit.contains(environment))
    }

    /// The id of the request that the actor is part of.
    pub fn request_id(&self) -> RequestId {
        self.origin.request_id
    }

    /// The kind of key, which decides the rows that the actor reaches. The system reaches those of an admin.
    pub fn kind(&self) -> KeyKind {
        match self.who {
            ActorRef::System | ActorRef::Admin { .. } => KeyKind::Admin,
            // Anonymous callers never reach an operation, and no action is permitted to them.
            ActorRef::Anonymous | ActorRef::AdminReadOnly { .. } => KeyKind::AdminReadOnly,
            ActorRef::Agent { .. } => KeyKind::Agent,
            ActorRef::Generator { .. } => KeyKind::Generator,
            ActorRef::JoinToken { .. } => KeyKind::JoinToken,
        }
    }

    /// The actor as the audit of refused attempts names it.
    pub(crate) fn by(&self) -> By<'_> {
        By { actor: self.who, subject: self.subject(), origin: &self.origin }
    }

    /// Whether the table of rights permits the action.
    pub(crate) fn may(&self, action: Action) -> bool {
        match &self.key {
            Some(key) if key.environments.is_some() && !action.is_of_agents() => false,
            Some(key) => action.allowed(self.kind(), &key.scopes),
            None if self.who == ActorRef::Anonymous => false,
            None => action.allowed(self.kind(), &self.kind().default_scopes()),
        }
    }

    /// The end of the presented key; `None` if it has none, or if the actor has no key.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        self.key.as_ref()?.expires_at
    }

    /// The networks from which the presented key may be used; empty: from everywhere.
    pub(crate) fn networks(&self) -> &[SourceNetwork] {
        self.key.as_ref().map_or(&[], |key| &key.source_networks)
    }

    /// The presented key; `None` for actors without a key.
    pub(crate) fn key_id(&self) -> Option<KeyId> {
        self.key.as_ref().map(|key| key.id)
    }

    /// The agent's id; `None` if the actor is not an agent.
    pub fn agent_id(&self) -> Option<AgentId> {
        match self.who {
            ActorRef::Agent { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The join token's id; `None` if the actor does not hold one.
    pub fn join_token_id(&self) -> Option<JoinTokenId> {
        match self.who {
            ActorRef::JoinToken { id } => Some(id),
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
