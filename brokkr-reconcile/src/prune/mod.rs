//! Removing objects that are no longer desired.

pub(crate) mod emptiness;
pub(crate) mod phases;
pub(crate) mod removal_phase;
pub(crate) mod untracked;
