//! Test support for a host's own policies, generators, stores and clusters.
//!
//! [`agent`], [`stack`] and [`pair`] build the input of a [`TargetingPolicy`](crate::targeting::TargetingPolicy):
//!
//! ```
//! use brokkr::targeting::SharedLabels;
//! use brokkr::testing::{agent, pair, stack};
//!
//! let here = agent("edge-1").label("region", "eu");
//! assert!(pair(stack("shop").label("region", "eu"), here.clone()).matches(&SharedLabels::any()));
//! assert!(!pair(stack("shop").label("region", "us"), here).matches(&SharedLabels::any()));
//! ```
//!
//! A policy that [`also_match`](crate::BrokerBuilder::also_match) adds is tested in the combination that decides:
//! `default_policy().or(policy)`, with [`default_policy`](crate::targeting::default_policy).
//!
//! [`ControlPlane`] runs a broker with real agents on in-memory clusters, to test generators end to end:
//!
//! ```
//! # brokkr::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use brokkr::prelude::*;
//! use brokkr::testing::ControlPlane;
//!
//! let plane = ControlPlane::start(3).await;
//! let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}});
//! let stack = plane.publish(StackSpec::named("shop"), [settings]).await;
//! plane.converged(stack).await;
//! assert_eq!(plane.agents()[2].object("ConfigMap", "default", "settings").unwrap()["data"]["a"], "1");
//! # });
//! ```
//!
//! A host's own store or cluster can run the conformance suites of Brokkr: `store_conformance!(make)` and
//! `cluster_conformance!(make)` expand to one test per requirement of the contract, in a crate that depends on tokio. `make`
//! returns a guard and the implementation in an `Arc`.
//!
//! Functions of this module panic on errors. Do not use them in production.

mod agent_builder;
#[cfg(feature = "http")]
mod call;
mod check_controller;
mod control_plane;
mod control_plane_builder;
mod eventually;
mod pair;
mod running_agent;
mod stack_builder;

pub use agent_builder::{AgentBuilder, agent};
#[cfg(feature = "http")]
pub use call::{TestResponse, call};
pub use check_controller::check_controller;
pub use control_plane::ControlPlane;
pub use control_plane_builder::ControlPlaneBuilder;
pub use eventually::eventually;
pub use pair::{Pair, pair};
pub use running_agent::RunningAgent;
pub use stack_builder::{StackBuilder, stack};

pub use brokkr_core::store_conformance;
pub use brokkr_reconcile::cluster_conformance;
