//! The REST API of Brokkr: an axum router over a [`Broker`](brokkr_control::Broker) (feature `server`), a
//! client (feature `client`), and the documents that both speak.
//!
//! The router is ordinary axum: merge it into your own, put your routes and layers around it.

pub mod api;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;
