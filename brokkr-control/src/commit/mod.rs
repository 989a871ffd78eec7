//! From a decision to one commit, with its audit record.

pub(crate) mod decide;
pub(crate) mod idempotency;
