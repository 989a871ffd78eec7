//! Removing objects that are no longer desired.

pub(crate) mod orphans;
pub(crate) mod phases;
pub(crate) mod vacancy;
