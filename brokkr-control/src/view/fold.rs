//! What a fold of the fleet view changed, for those who follow the view.

use brokkr_core::model::{Change, Generation, GeneratorId};

/// One fold.
#[derive(Debug)]
pub(crate) struct Fold {
    /// The folded changes; empty if nobody followed the view, or after a reset.
    pub(crate) changes: Vec<Change>,
    /// Whether a snapshot replaced the whole view.
    pub(crate) is_reset: bool,
    /// The generation of the view after the fold.
    pub(crate) generation: Generation,
}

impl Fold {
    /// The changes that a generator may see: of what it owns, and of the agents that serve its stacks.
    pub(crate) fn seen_by(&self, generator: GeneratorId) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| match change {
            Change::Agent(agent) => agent.registrations.contains_key(&generator),
            change => change.generator() == Some(generator),
        })
    }
}
