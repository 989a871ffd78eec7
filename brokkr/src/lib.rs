//! Brokkr: a framework for custom Kubernetes control planes.
//!
//! The *broker* stores the desired state: it has a REST API, audit records, API keys and targeting, on PostgreSQL or in
//! memory. An *agent* in each cluster pulls its target state, applies and prunes objects, watches their health and reports
//! back. The broker never connects to a cluster.
//!
//! This crate re-exports all crates of Brokkr, and the third-party crates whose types appear in its traits. A host needs one
//! line in its `Cargo.toml`:
//!
//! ```toml
//! brokkr = { version = "0.1", features = ["http", "postgres"] }
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `http` | `api`: the REST API as an axum router, a server, and extractors for the host's own routes |
//! | `client` | `client`: clients of the API and of the agent protocol over HTTP |
//! | `postgres` | `postgres`: the store on PostgreSQL |
//! | `agent` | `agent`: the agent, and clusters reached through a kubeconfig |
//! | `testing` | `testing`: builders for tests of policies and generators, and an in-memory control plane |
//!
//! # Traits
//!
//! | decision | trait | default |
//! |---|---|---|
//! | which agents serve a stack | [`targeting::TargetingPolicy`] | targets, labels and annotations of the stack |
//! | what a stack contains | [`generate::Generator`] | manifests that callers publish |
//! | where the record is stored | [`store::Store`] | [`store::MemoryStore`], `postgres::PostgresStore` |
//! | what happens later than a request | [`controller::Controller`] | expiry, removals, retention, silence |
//! | how an agent applies its target state | [`reconcile::Applier`] | [`reconcile::Reconciler`] |
//! | which Kubernetes API an agent writes to | [`cluster::Cluster`] | [`cluster::MemoryCluster`], `agent::KubeCluster` |
//! | how an agent reaches its broker | [`protocol::ControlPlane`] | [`InProcess`], `client::HttpControlPlane` |
//!
//! ```
//! use brokkr::prelude::*;
//!
//! #[derive(Debug)]
//! struct BySize;
//!
//! impl TargetingPolicy for BySize {
//!     fn evaluate(&self, pair: &Candidate<'_>) -> Result<Verdict, PolicyError> {
//!         Ok(match (pair.stack.labels.get("size"), pair.agent.labels.get("tier")) {
//!             (Some("large"), Some("large")) => Verdict::matched("a large cluster"),
//!             (Some("large"), _) => Verdict::unmatched("a large stack needs a cluster with tier=large"),
//!             _ => Verdict::matched("a small stack fits everywhere"),
//!         })
//!     }
//! }
//! ```
//!
//! [`BrokerBuilder::also_match`] adds the policy to the default policy, which stays in effect: it matches direct targets, and
//! any label that a stack without a targeting rule shares with an agent. [`TargetingRule::none`](model::TargetingRule::none)
//! keeps it from matching labels:
//!
//! ```
//! # use brokkr::prelude::*;
//! # async fn compose(policy: impl TargetingPolicy) -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::builder(MemoryStore::new()).also_match(policy).start().await?;
//! let spec = StackSpec::named("shop").label("size", "large").targeting(TargetingRule::none());
//! broker.stack_create(&broker.system_actor(), None, spec).await?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/preview-environments` and `examples/embedded` are complete control planes on this crate.
//!
//! # Derives
//!
//! The derive macros of serde and schemars refer to their crates by name. A host that does not depend on them directly sets
//! their paths:
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
    BrokerResult, Content, ControllerState, ControllerStatus, EnvironmentPatch, GeneratorPatch, GrantPatch,
    Idempotency, InProcess, Joined, KeyDetails, KeyHash, KeyTerms, NewAgent, NewEnvironment, NewGenerator, NewGrant,
    NewJoinToken, NewKey, NewMember, NewPak, NewToken, Origin, Pak, PakError, Placed, Published, Quotas, Removal,
    ShownContent, StackOverview, StackState, StartError, Summary, controller, default_grant, generate,
};
pub use brokkr_core::{clock, entropy, manifest, model, protocol, store, targeting};
pub use brokkr_reconcile::cluster;
#[doc(no_inline)]
pub use {async_trait, bytes, schemars, secrecy, serde, serde_json, tokio, tokio_util};

/// Validation errors.
pub mod error {
    pub use brokkr_core::error::{Invalid, InvalidCode};
}

/// The reconciler, which applies an agent's target state to a cluster.
pub mod reconcile {
    pub use brokkr_reconcile::*;
}

/// The REST API: its documents, and with the feature `http` the server and extractors for the host's own routes.
#[cfg(any(feature = "http", feature = "client"))]
pub mod api {
    #[cfg(feature = "http")]
    pub use axum;
    pub use brokkr_http::api::*;
    #[cfg(feature = "http")]
    pub use brokkr_http::server::*;
}

/// Clients of the API and of the agent protocol, over HTTP.
#[cfg(feature = "client")]
pub mod client {
    pub use brokkr_http::client::*;
}

/// The store on PostgreSQL.
#[cfg(feature = "postgres")]
pub mod postgres {
    pub use brokkr_store_postgres::*;
}

/// The agent, and Kubernetes clusters reached through a kubeconfig or a service account.
#[cfg(feature = "agent")]
pub mod agent {
    pub use brokkr_agent_runtime::*;
}
