//! Parameters and responses that operations share, for the OpenAPI document.

pub(crate) mod answers;
pub(crate) mod parameters;
