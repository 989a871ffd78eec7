//! The REST API of Brokkr: an axum router over a [`Broker`](brokkr_control::Broker) (feature `server`), a client (feature
//! `client`), and the documents that both exchange.
//!
//! The router is a plain axum router: merge it into your own, and add your own routes and layers.

pub mod api;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;
