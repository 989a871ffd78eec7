//! Authentication and authorisation: actors, keys and permissions.

pub(crate) mod action;
pub(crate) mod actor;
pub(crate) mod authenticate;
pub(crate) mod authorise;
pub(crate) mod idempotency;
pub(crate) mod join_token;
pub(crate) mod key_actions;
pub(crate) mod key_terms;
pub(crate) mod right;
