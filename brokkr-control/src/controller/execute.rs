//! Executes the commands of controllers as operations of the broker.

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::controller::command::{Command, Kind, Own};
use crate::controller::reads::Reads;
use crate::error::{BrokerError, BrokerResult};

impl Broker {
    /// The reads of a controller, for an actor: to test [`observe`](crate::controller::Controller::observe).
    pub fn reads(&self, actor: &Actor) -> Reads {
        Reads::new(self.clone(), actor.clone())
    }

    /// Executes a controller's command as an actor, without a lease: to test a controller.
    ///
    /// # Errors
    ///
    /// Those of the operation that the command names.
    pub async fn execute(&self, actor: &Actor, command: Command) -> BrokerResult<()> {
        command.execute(self, actor).await
    }
}

impl Command {
    /// Executes the command. What is already gone needs no command any more: that is a success.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    pub(super) async fn execute(self, broker: &Broker, actor: &Actor) -> BrokerResult<()> {
        let result = match self.0 {
            Kind::DeleteStack(id, expected) => gone_is_done(broker.stack_delete(actor, id, expected).await.map(drop)),
            Kind::ApplyStack(spec, content) => {
                let (name, content) = (spec.name.clone(), content.map(|it| (*it).clone()));
                broker.stack_apply(actor, None, &name, |_| Ok((*spec).clone()), content).await.map(drop)
            }
            Kind::Publish(stack, content) => broker.publish(actor, stack, (*content).clone()).await.map(drop),
            Kind::SetTarget(stack, agent) => broker.target_set(actor, stack, agent).await.map(drop),
            Kind::RemoveTarget(stack, agent) => gone_is_done(broker.target_remove(actor, stack, agent).await),
            Kind::Own(own) => return own.execute(broker, actor).await,
        };
        match result {
            // The state changed since it was observed; the change wakes the key again.
            Err(BrokerError::PreconditionFailed) => Ok(()),
            result => result,
        }
    }
}

impl Own {
    async fn execute(self, broker: &Broker, actor: &Actor) -> BrokerResult<()> {
        match self {
            Self::CompleteRemoval(id) => broker.complete_removal(actor, id).await.map(drop),
            Self::Purge(keep) => broker.purge(&keep).await,
            Self::AnnounceExpiry(id, version) => gone_is_done(broker.stack_announce_expiry(actor, id, version).await),
            Self::ExpireStack(id, version) => gone_is_done(broker.stack_expire(actor, id, version).await),
            Self::ExpireKey(id, version) => gone_is_done(broker.key_expire(actor, id, version).await),
            Self::ExpirePin(id, version) => broker.pin_expire(actor, id, version).await,
            Self::RecordSilences(turns) => broker.record_silences(actor, &turns).await,
            Self::NoteAvailability { at, since } => broker.note_availability(at, since).await,
            Self::EndAssignments(pairs) => broker.end_lost_assignments(actor, &pairs).await,
        }
    }
}

fn gone_is_done(result: BrokerResult<()>) -> BrokerResult<()> {
    match result {
        Err(BrokerError::NotFound) => Ok(()),
        result => result,
    }
}
