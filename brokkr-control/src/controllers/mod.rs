//! The broker's own controllers.

pub(crate) mod key_expiry;
pub(crate) mod losses;
pub(crate) mod pin_expiry;
pub(crate) mod removals;
pub(crate) mod retention;
pub(crate) mod silence;
pub(crate) mod stack_expiry;
