//! The remarks of a hostile review beside its findings: HTTP as it arrives, and what was read but not run.

mod http_remarks;
mod read_remarks;
