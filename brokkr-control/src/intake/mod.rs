//! Bounds on work that callers cause: memory of request bodies, and parsing.

pub(crate) mod parsing;
pub(crate) mod shares;
