//! HTTP/1 as it arrives: strict framing (RFC 9112), before hyper parses it.
//!
//! hyper accepts some messages that other servers read differently, and answers others with an empty response. The gate
//! accepts only messages with one meaning. In place of a refused message, hyper gets a request that the API answers with a
//! problem document, in its order among the requests of the connection.

mod chunks;
mod gate;
mod head;

pub(super) use gate::Gate;
pub use gate::passes;
pub(super) use head::Refusal;
