//! The agent protocol: polls and reports.

pub(crate) mod in_process;
pub(crate) mod poll;
pub(crate) mod report;
