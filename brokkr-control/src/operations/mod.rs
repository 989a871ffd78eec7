//! The operations on each entity: authorise, decide, commit.

pub(crate) mod admin_keys;
pub(crate) mod agents;
pub(crate) mod blocking;
pub(crate) mod controllers;
pub(crate) mod dependencies;
pub(crate) mod environments;
pub(crate) mod expiry;
pub(crate) mod generators;
pub(crate) mod granted;
pub(crate) mod grants;
pub(crate) mod join;
pub(crate) mod join_tokens;
pub(crate) mod keys;
pub(crate) mod losses;
pub(crate) mod observe;
pub(crate) mod placement;
pub(crate) mod preparation;
mod publication_changes;
pub(crate) mod publish;
pub(crate) mod quota;
pub(crate) mod records;
pub(crate) mod secrets;
pub(crate) mod silences;
pub(crate) mod stack_removal;
pub(crate) mod stacks;
pub(crate) mod status;
pub(crate) mod targets;
