//! Operations on the broker's controllers.

use std::collections::BTreeMap;

use brokkr_core::model::{AuditOutcome, AuditRecord, InstanceId};
use brokkr_core::store::{LeaseRecord, Retention};
use serde_json::json;

use crate::access::action::Action;
use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::BrokerResult;
use crate::recent::controllers::ControllerState;

/// The prefix of the leases of controllers.
pub(crate) const LEASES: &str = "controller/";
/// The note with the epoch in which controllers may run.
const NOTE: &str = "controllers";
/// Batches of one purge.
const PURGE_BATCHES: usize = 20;

/// A controller of this broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerStatus {
    /// The name.
    pub name: String,
    /// The run of the controller that holds the lease; `None` while none does.
    pub holder: Option<InstanceId>,
    /// Whether this broker runs it.
    pub is_here: bool,
    /// The state: current if this broker runs the controller, otherwise as the holder last noted it.
    pub state: ControllerState,
}

fn epoch_of(leases: &[LeaseRecord]) -> Option<String> {
    let note = &leases.iter().find(|it| it.name == NOTE)?.note;
    Some(note.get("epoch")?.as_str()?.to_owned())
}

impl Broker {
    /// Lists the controllers, by name.
    pub async fn controller_list(&self, actor: &Actor) -> BrokerResult<Vec<ControllerStatus>> {
        self.authorise(actor, Action::ControllerRead, "controller.read", None)?;
        let leases = self.parts.store.lease_list().await?;
        let status = |(name, state): (String, ControllerState)| {
            let lease = leases.iter().find(|it| it.name.strip_prefix(LEASES) == Some(&*name));
            let noted = || lease.and_then(|it| serde_json::from_value(it.note.clone()).ok()).unwrap_or_default();
            let (holder, is_here) = (lease.and_then(|it| it.holder), state.leads);
            ControllerStatus { name, holder, is_here, state: if is_here { state } else { noted() } }
        };
        Ok(self.controller_states().into_iter().map(status).collect())
    }

    /// The controllers on this broker, by name: for probes and tests.
    pub fn controller_states(&self) -> BTreeMap<String, ControllerState> {
        self.parts.controllers.all()
    }

    /// Lets the controllers run in the current epoch. They rest when a new epoch begins, because the data may have been set
    /// back.
    pub async fn controllers_confirm_epoch(&self, actor: &Actor) -> BrokerResult<()> {
        const NAME: &str = "controller.confirm-epoch";
        self.authorise(actor, Action::ConfirmEpoch, NAME, None)?;
        self.parts.view.refreshed(crate::view::CATCH_UP).await?;
        let epoch = self.epoch();
        // The note is no entity, so its record is not part of a commit. It comes first: nothing happens without one.
        let record = AuditRecord {
            id: self.new_id(),
            at: self.now(),
            actor: actor.reference(),
            subject: actor.subject().map(str::to_owned),
            action: NAME.to_owned(),
            object_kind: None,
            object_id: None,
            request_id: actor.request_id(),
            source: actor.origin.address.map(|address| address.to_string()),
            outcome: AuditOutcome::Success,
            detail: Some(epoch.to_string()),
            changes: None,
            count: 1,
        };
        self.parts.store.record_attempts(vec![record]).await?;
        Ok(self.parts.store.lease_note(NOTE, json!({"epoch": epoch})).await?)
    }

    /// Whether controllers may run in the current epoch: the first one, or one that an admin has confirmed.
    pub(crate) async fn controllers_may_run(&self) -> BrokerResult<bool> {
        let epoch = self.epoch();
        match epoch_of(&self.parts.store.lease_list().await?) {
            Some(confirmed) => Ok(confirmed == epoch.to_string()),
            None => {
                self.parts.store.lease_note(NOTE, json!({"epoch": epoch})).await?;
                Ok(true)
            }
        }
    }

    /// Drops records that are older than `keep` allows, in a bounded number of batches.
    pub(crate) async fn purge(&self, keep: &Retention) -> BrokerResult<()> {
        let mut all = 0;
        for _ in 0..PURGE_BATCHES {
            match self.parts.store.purge(keep).await? {
                0 => break,
                gone => all += gone,
            }
        }
        if all > 0 {
            tracing::info!(gone = all, "purged expired records");
        }
        Ok(())
    }
}
