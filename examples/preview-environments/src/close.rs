//! Closes the environments of pull requests that nobody works on.

use std::time::Duration;

use brokkr::controller::{Command, Controller, Interest, Plan, Reads};
use brokkr::model::{Stack, Timestamp};
use brokkr::prelude::*;

/// The generator that owns the environments: they are created with an admin's key, so they belong to the system generator.
pub(crate) const PRINCIPAL: &str = "system";
/// An environment is closed this long after its last revision.
const IDLE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Deletes environments a week after their last revision.
#[derive(Debug)]
pub(crate) struct CloseIdle;

/// An open environment.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) stack: Stack,
    pub(crate) published_at: Timestamp,
}

fn is_environment(stack: &Stack) -> bool {
    stack.is_active() && stack.name.as_str().starts_with("pull-")
}

#[async_trait]
impl Controller for CloseIdle {
    type Key = StackId;
    type Facts = Environment;

    fn name(&self) -> &str {
        "close-idle"
    }

    fn interest(&self) -> Interest<StackId> {
        Interest::new().stacks(|stack| is_environment(stack).then_some(stack.id))
    }

    async fn observe(&self, reads: &Reads, id: &StackId) -> BrokerResult<Option<Environment>> {
        let Some(stack) = reads.stack(*id).await?.filter(is_environment) else { return Ok(None) };
        // A new revision changes no stack and wakes nobody, so the time of the last one is read at each wake-up.
        let newest = reads.newest_object(*id).await?;
        let published_at = newest.map_or(stack.created_at, |it| it.created_at);
        Ok(Some(Environment { stack, published_at }))
    }

    fn decide(&self, environment: &Environment, now: Timestamp) -> Plan {
        let end = environment.published_at.plus(IDLE);
        if now < end {
            return Plan::nothing().wake_at(end);
        }
        Plan::nothing().command(Command::delete_stack(environment.stack.id).if_version(environment.stack.version))
    }
}
