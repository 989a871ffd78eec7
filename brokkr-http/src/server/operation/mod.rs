//! What operations take and answer, for their documentation.

pub(crate) mod answers;
pub(crate) mod parameters;
