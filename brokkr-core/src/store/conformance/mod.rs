//! TBD
pub(crate) mod sample;
