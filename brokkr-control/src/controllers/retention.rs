//! Purges expired records.

use std::time::Duration;

use async_trait::async_trait;
use brokkr_core::model::Timestamp;
use brokkr_core::store::Retention as Keep;

use crate::controller::{Command, Controller, Interest, Own, Plan, Reads};
use crate::error::BrokerResult;

/// Interval of purging.
const EVERY: Duration = Duration::from_secs(10);

/// Drops records that are older than the configured retention.
#[derive(Debug)]
pub(crate) struct Retention(pub(crate) Keep);

#[async_trait]
impl Controller for Retention {
    type Key = ();
    type Facts = Keep;

    fn name(&self) -> &str {
        "retention"
    }

    fn interest(&self) -> Interest<()> {
        Interest::new().always(()).every(EVERY)
    }

    async fn observe(&self, _: &Reads, (): &()) -> BrokerResult<Option<Keep>> {
        Ok(Some(self.0))
    }

    // The store knows what has expired, and forgotten idempotency keys have a retention of their own.
    fn decide(&self, keep: &Keep, _: Timestamp) -> Plan {
        Plan::nothing().command(Command::own(Own::Purge(*keep)))
    }
}
