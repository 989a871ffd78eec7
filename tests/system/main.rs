//! The whole system, in circles: the API without sockets, agents on clusters in memory, the reconciler on both sorts of clusters, agents as
//! processes on real API servers, the durable store, and the reading of manifests beside that of kubectl.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod kubernetes;
mod memory;
mod postgres;
mod reading;
mod reconciler;
mod support;
