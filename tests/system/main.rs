//! The whole system, in three circles: the API without sockets, agents on clusters in memory, and agents as processes on real
//! API servers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod kubernetes;
mod memory;
mod postgres;
mod support;
