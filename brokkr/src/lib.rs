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
//! | `http` | `api`: the REST API as an axum router, a server, and what a host's own routes need |
//! | `client` | `client`: the API and the agent's protocol over HTTP |
//! | `postgres` | `postgres`: the store on PostgreSQL |
//! | `agent` | `agent`: the agent, and a cluster behind a kubeconfig |
//! | `testing` | `testing`: builders for tests of a policy or a generator, and a control plane in memory |
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
//! [`BrokerBuilder::also_match`] adds the policy to the default one:
//!
//! ```
//! # use brokkr::prelude::*;
//! # async fn compose(policy: impl TargetingPolicy) -> Result<Broker, brokkr::StartError> {
//! Broker::builder(MemoryStore::new()).also_match(policy).start().await
//! # }
//! ```
//!
//! `examples/preview-environments` and `examples/embedded` are whole control planes on this crate.
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
#[cfg(feature = "testing")]
pub mod testing;

pub use brokkr_control::{
    Actor, AgentDetails, AgentPatch, AgentStackStatus, Applied, Broker, BrokerBuilder, BrokerError, BrokerErrorKind,
    BrokerResult, Content, EnvironmentPatch, GeneratorPatch, Idempotency, InProcess, NewAgent, NewEnvironment,
    NewGenerator, NewKey, NewPak, Origin, Pak, PakError, Placed, Published, Removal, StackOverview, StartError,
    Summary, generate,
};
pub use brokkr_core::{clock, entropy, manifest, model, protocol, store, targeting};
pub use brokkr_reconcile::cluster;
#[doc(no_inline)]
pub use {async_trait, bytes, schemars, secrecy, serde, serde_json, tokio, tokio_util};

/// Why an input is refused.
pub mod error {
    pub use brokkr_core::error::{Invalid, InvalidCode};
}

/// The reconciler: what an agent does with its target state.
pub mod reconcile {
    pub use brokkr_reconcile::*;
}

/// The REST API: its documents, and with the feature `http` the server and what a host's own routes need.
#[cfg(any(feature = "http", feature = "client"))]
pub mod api {
    #[cfg(feature = "http")]
    pub use axum;
    pub use brokkr_http::api::*;
    #[cfg(feature = "http")]
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
