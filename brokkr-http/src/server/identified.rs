//! The admission of one request: who sends it, how often, and its place among those that are served at once.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use brokkr_control::Actor;

use super::classes::{Classes, Entered, WorkClass};
use super::problem::Problem;
use super::rates::Rates;

/// The limits that all requests of one server share.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) rates: Rates,
    pub(super) classes: Classes,
}

/// The operation of a request, as its admission needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// `None` for routes outside of the API, which have no class.
    pub(super) class: Option<WorkClass>,
    /// Whether the operation reads a body. The request then takes its place once the body is complete, so that a slow body
    /// keeps no place.
    pub(super) has_body: bool,
    /// Whether the method can change something.
    pub(super) is_write: bool,
}

/// One request on its way to an operation. The layer around every route makes it.
#[derive(Debug)]
pub(super) struct Identified {
    limits: Arc<Limits>,
    wanted: Wanted,
    actor: OnceLock<Actor>,
    entered: Mutex<Option<Entered>>,
}

impl Identified {
    pub(super) fn new(limits: Arc<Limits>, wanted: Wanted) -> Self {
        Self { limits, wanted, actor: OnceLock::new(), entered: Mutex::default() }
    }

    /// Keeps the actor and counts the request. Fails if the actor has sent too many.
    pub(super) fn is(&self, actor: &Actor) -> Result<(), Problem> {
        if self.actor.set(actor.clone()).is_ok() {
            self.limits.rates.count(actor, self.wanted.is_write)
        } else {
            Ok(())
        }
    }

    /// Counts a request without a usable key. Fails if its address has sent too many.
    pub(super) fn is_nobody(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        self.limits.rates.count_unauthenticated(address)
    }

    pub(super) fn actor(&self) -> Option<&Actor> {
        self.actor.get()
    }

    /// Takes a place in the class of the request, unless its body comes first.
    pub(super) async fn enter(&self) -> Result<(), Problem> {
        if self.wanted.has_body { Ok(()) } else { self.enter_now().await }
    }

    /// Takes a place in the class of the request, once.
    pub(super) async fn enter_now(&self) -> Result<(), Problem> {
        let (Some(class), Some(actor)) = (self.wanted.class, self.actor()) else {
            return Ok(());
        };
        if self.entered().is_some() {
            return Ok(());
        }
        let class = if actor.agent_id().is_some() { WorkClass::Agents } else { class };
        let entered = self.limits.classes.enter(class, actor.principal()).await?;
        *self.entered() = Some(entered);
        Ok(())
    }

    /// Gives the place up, before the request waits for something else than the broker.
    pub(super) fn leave(&self) {
        drop(self.entered().take());
    }

    fn entered(&self) -> MutexGuard<'_, Option<Entered>> {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
