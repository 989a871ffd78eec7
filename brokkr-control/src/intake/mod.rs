//! Bounds on work that callers cause: memory of request bodies, parsing, joins, waiting and woken polls, and what generators keep.

pub(crate) mod joins;
pub(crate) mod listings;
pub(crate) mod open_polls;
pub(crate) mod parsing;
pub(crate) mod quotas;
pub(crate) mod shares;
