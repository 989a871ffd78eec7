//! Brokkr: a framework for custom Kubernetes control planes.
//!
//! A *broker* records what should run where: it has a REST API, PostgreSQL, audit, keys and targeting. An *agent* in every
//! cluster pulls its target state, applies it, prunes, watches health and reports back. The broker never connects to a cluster.
//!
//! This crate re-exports all of Brokkr, and the crates whose types appear in its traits, so that a host has one line in
//! its `Cargo.toml`:
//!
//! ```toml
//! brokkr = { version = "0.1", features = ["http", "postgres"] }
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `http` | `api`: the REST API as an axum router |
//! | `client` | `client`: the agent's protocol over HTTP |
//! | `postgres` | `postgres`: the store on PostgreSQL |
//! | `agent` | `agent`: the agent, and a cluster behind a kubeconfig |
//!
//! # Implement a trait, have a control plane
//!
//! | to decide | implement | default |
//! |---|---|---|
//! | which agents serve a stack | [`targeting::TargetingPolicy`] | targets, labels and annotations of the stack |
//! | what a stack contains | [`generate::Generator`] | manifests that callers publish |
//! | where the record is kept | [`store::Store`] | [`store::MemoryStore`], `postgres::PostgresStore` |
//! | what an agent does with its target state | [`reconcile::Applier`] | [`reconcile::Reconciler`] |
//! | which Kubernetes API an agent writes to | [`cluster::Cluster`] | [`cluster::MemoryCluster`], `agent::KubeCluster` |
//! | how an agent reaches its broker | [`protocol::ControlPlane`] | [`InProcess`], `client::HttpControlPlane` |
//!
//! ```
//! use brokkr::prelude::*;
//!
//! #[derive(Debug)]
//! struct SameRegion;
//!
//! impl TargetingPolicy for SameRegion {
//!     fn evaluate(&self, pair: &Candidate<'_>) -> Result<Verdict, PolicyError> {
//!         Ok(match (pair.stack.labels.get("region"), pair.agent.labels.get("region")) {
//!             (Some(wanted), Some(here)) if wanted == here => Verdict::matched(format!("both are in {here}")),
//!             _ => Verdict::unmatched("the regions differ"),
//!         })
//!     }
//! }
//! ```
//!
//! # Derives
//!
//! The derive macros of serde and schemars name their crates. A host without a dependency of its own on them says where they are:
//!
//! ```
//! use brokkr::prelude::*;
//!
//! #[derive(Debug, Deserialize, JsonSchema)]
//! #[serde(crate = "brokkr::serde")]
//! #[schemars(crate = "brokkr::schemars")]
//! struct Params {
//!     image: String,
//! }
//! ```

pub mod prelude;

pub use brokkr_control::*;
pub use brokkr_core::{clock, error, manifest, model, protocol, store, targeting};
pub use brokkr_reconcile::cluster;
#[doc(no_inline)]
pub use {async_trait, schemars, secrecy, serde, serde_json, tokio, tokio_util};

/// The reconciler: what an agent does with its target state.
pub mod reconcile {
    pub use brokkr_reconcile::*;
}

/// The REST API: an axum router over a broker.
#[cfg(feature = "http")]
pub mod api {
    pub use axum;
    pub use brokkr_http::api::*;
    pub use brokkr_http::server::*;
}

/// The agent's protocol over HTTP.
#[cfg(feature = "client")]
pub mod client {
    pub use brokkr_http::client::*;
}

/// The store on PostgreSQL.
#[cfg(feature = "postgres")]
pub mod postgres {
    pub use brokkr_store_postgres::*;
}

/// The agent, and a Kubernetes cluster behind a kubeconfig or a service account.
#[cfg(feature = "agent")]
pub mod agent {
    pub use brokkr_agent_runtime::*;
}
