//! What agents ask and report.

pub(crate) mod in_process;
pub(crate) mod poll;
pub(crate) mod report;
