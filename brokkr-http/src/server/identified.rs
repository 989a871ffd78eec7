//! Passes the authenticated actor from the extractor to the layer that writes the response.

use std::sync::{Arc, OnceLock};

use brokkr_control::Actor;

/// The actor of a request; empty until the extractor has authenticated it.
#[derive(Debug, Clone, Default)]
pub(super) struct Identified(Arc<OnceLock<Actor>>);

impl Identified {
    pub(super) fn is(&self, actor: &Actor) {
        let _ = self.0.set(actor.clone());
    }

    pub(super) fn actor(&self) -> Option<&Actor> {
        self.0.get()
    }
}
