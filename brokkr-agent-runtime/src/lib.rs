//! The agent of Brokkr: the loop that keeps a cluster as its broker wants it, and the Kubernetes API behind it.
//!
//! [`Agent`] works over any [`ControlPlane`](brokkr_core::protocol::ControlPlane) and any
//! [`Fenceable`](brokkr_reconcile::cluster::Fenceable) cluster: over HTTP on a real cluster, or in one process on one in memory.

mod agent;
#[cfg(feature = "kube")]
mod kube_cluster;
pub mod rbac;

pub use agent::{Agent, AgentConfig, AgentError, PlanError, Probe, plan};
#[cfg(feature = "kube")]
pub use kube_cluster::{ConnectError, KubeCluster, Kubeconfig};
