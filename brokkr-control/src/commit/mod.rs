//! Turns a decision into one commit that includes its audit record.

pub(crate) mod changes;
pub(crate) mod decide;
pub(crate) mod decide_once;
