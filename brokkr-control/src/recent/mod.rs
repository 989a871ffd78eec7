//! What a broker keeps in memory between requests: caches, and what is written later.

pub(crate) mod activity;
pub(crate) mod attempts;
pub(crate) mod contents;
