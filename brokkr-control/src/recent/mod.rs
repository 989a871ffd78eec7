//! In-memory state of a broker between requests: caches and queued writes.

pub(crate) mod activity;
pub(crate) mod attempts;
pub(crate) mod contents;
pub(crate) mod controllers;
