//! Who is asking, and what they may do.

pub(crate) mod action;
pub(crate) mod actor;
pub(crate) mod idempotency;
pub(crate) mod pak;
