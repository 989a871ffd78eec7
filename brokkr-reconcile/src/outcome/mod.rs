//! The outcome of reconciling a stack, with messages that a person can act on.

pub(crate) mod problem;
pub(crate) mod reason;
pub(crate) mod stack_outcome;
pub(crate) mod summary;
