//! Removing objects that are no longer desired.

pub(crate) mod orphans;
pub(crate) mod phases;
pub(crate) mod removal_phase;
pub(crate) mod vacancy;
