//! Tests of a host's own parts: a policy in three lines, a generator in three more.
//!
//! [`agent`], [`stack`] and [`pair`] make what a [`TargetingPolicy`](crate::targeting::TargetingPolicy) decides about:
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
//! [`ControlPlane`] is a broker with real agents on clusters in memory, for what a generator makes and where it arrives:
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
//! A store or a cluster of the host's own runs the suites that Brokkr's run: `store_conformance!(make)` and `cluster_conformance!(make)`
//! expand to one test per duty of the contract, in a crate that depends on tokio. `make` yields a guard and the part in an `Arc`.
//!
//! What is wrong with a test panics with a message; nothing here is for production.

mod agent_builder;
mod control_plane;
mod control_plane_builder;
mod pair;
mod running_agent;
mod stack_builder;

pub use agent_builder::{AgentBuilder, agent};
pub use control_plane::ControlPlane;
pub use control_plane_builder::ControlPlaneBuilder;
pub use pair::{Pair, pair};
pub use running_agent::RunningAgent;
pub use stack_builder::{StackBuilder, stack};

pub use brokkr_core::store_conformance;
pub use brokkr_reconcile::cluster_conformance;
