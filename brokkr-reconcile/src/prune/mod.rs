//! Removing what is no longer wanted.

pub(crate) mod orphans;
pub(crate) mod phases;
pub(crate) mod vacancy;
