//! Ownership of objects.

pub(crate) mod claims;
pub(crate) mod field_hashes;
pub(crate) mod inventory;
pub(crate) mod labels;
pub(crate) mod objects;
