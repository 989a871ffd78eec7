//! Whole-system tests: the API without sockets, agents on clusters in memory, the reconciler on both kinds of clusters, agents as
//! processes on real API servers, the PostgreSQL store, and manifests as kubectl reads them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod api;
mod corpus;
mod findings;
mod hostile;
mod kubernetes;
mod memory;
mod postgres;
mod reading;
mod reconciler;
mod support;
