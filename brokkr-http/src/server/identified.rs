//! Who sends a request, for the layer that writes the answer.

use std::sync::{Arc, OnceLock};

use brokkr_control::Actor;

/// The actor of a request, set by the extractor once it is known.
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
