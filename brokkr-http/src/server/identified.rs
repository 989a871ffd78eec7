//! Passes the authenticated actor from the extractor to the layer that writes the response.

use std::sync::{Arc, OnceLock};

use brokkr_control::Actor;

use super::problem::Problem;
use super::rates::Rates;

/// The actor of a request that changes something; empty until the extractor has authenticated it.
#[derive(Debug, Clone)]
pub(super) struct Identified {
    actor: Arc<OnceLock<Actor>>,
    rates: Arc<Rates>,
}

impl Identified {
    pub(super) fn new(rates: Arc<Rates>) -> Self {
        Self { actor: Arc::default(), rates }
    }

    /// Keeps the actor and counts the request. Fails if the actor has sent too many.
    pub(super) fn is(&self, actor: &Actor) -> Result<(), Problem> {
        if self.actor.set(actor.clone()).is_ok() { self.rates.count(actor) } else { Ok(()) }
    }

    pub(super) fn actor(&self) -> Option<&Actor> {
        self.actor.get()
    }
}
