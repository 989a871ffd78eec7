//! The background tasks of a broker. Each runs until the broker stops.

pub(crate) mod admin_keys;
pub(crate) mod complete_removals;
pub(crate) mod expire_pins;
pub(crate) mod flush;
pub(crate) mod follow;
pub(crate) mod purge;
