//! Authorises an actor for an action, with the rows that it covers, and audits refusals.

use brokkr_core::model::{ActorRef, EntityKey, KeyKind};
use brokkr_core::store::Scope;

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};

impl Broker {
    /// Checks that the table of rights permits the action, and returns the rows that it covers. Audits a denial.
    pub(crate) fn authorise(
        &self,
        actor: &Actor,
        action: Action,
        name: &'static str,
        object: Option<EntityKey>,
    ) -> BrokerResult<Scope> {
        self.permit(actor, action, name, object)?;
        Ok(self.scope(actor))
    }

    /// The rows that the actor may access, according to the view.
    pub(crate) fn scope(&self, actor: &Actor) -> Scope {
        if let Some(limit) = actor.environments().filter(|_| actor.kind() != KeyKind::Agent) {
            return self.parts.view.limited_scope(actor.generator_id(), limit);
        }
        match actor.who {
            ActorRef::System
            | ActorRef::Admin { .. }
            | ActorRef::AdminReadOnly { .. }
            | ActorRef::JoinToken { .. }
            | ActorRef::Anonymous => Scope::All,
            ActorRef::Generator { id, .. } => Scope::Generator(id),
            ActorRef::Agent { id, .. } => Scope::Agent { id, stacks: self.parts.view.stacks_of(id) },
        }
    }

    /// Checks that the table of rights permits the action. Audits a denial.
    pub(crate) fn permit(
        &self,
        actor: &Actor,
        action: Action,
        name: &'static str,
        object: Option<EntityKey>,
    ) -> BrokerResult<()> {
        if actor.may(action) {
            return Ok(());
        }
        self.failed(actor, name, object, &BrokerError::Forbidden);
        Err(BrokerError::Forbidden)
    }

    /// Records a refused or failed attempt in the audit. Logs the cause of internal errors.
    pub(crate) fn failed(&self, actor: &Actor, name: &'static str, object: Option<EntityKey>, error: &BrokerError) {
        if let BrokerError::Internal(source) = error {
            tracing::error!(action = name, request_id = %actor.request_id(), error = %source, "operation failed");
        }
        self.parts.attempts.record(actor.by(), name, object, error);
    }
}
