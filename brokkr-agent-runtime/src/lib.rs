//! The agent of Brokkr: the loop that reconciles a cluster with its broker's target state, and a client for the
//! Kubernetes API.
//!
//! [`Agent`] works over any [`ControlPlane`](brokkr_core::protocol::ControlPlane) and any
//! [`Fenceable`](brokkr_reconcile::cluster::Fenceable) cluster. For example, it connects over HTTP and manages a real
//! cluster, or runs in one process with the broker and manages a cluster in memory.

mod agent;
#[cfg(feature = "kube")]
mod kube_cluster;
pub mod rbac;

pub use agent::{Agent, AgentConfig, AgentError, JoinConfig, JoinError, PlanError, Probe, join, plan, stored_key};
#[cfg(feature = "kube")]
pub use kube_cluster::{ClusterSource, ConnectError, KubeCluster};
