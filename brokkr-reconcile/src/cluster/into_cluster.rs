//! How a host hands a cluster over.

use std::sync::Arc;

use super::{Cluster, Fenceable};

/// A [`Cluster`] by value, in an `Arc`, or as `Arc<dyn Cluster>`.
pub trait IntoCluster {
    /// Shares the cluster.
    fn into_cluster(self) -> Arc<dyn Cluster>;
}

impl<C: Cluster> IntoCluster for C {
    fn into_cluster(self) -> Arc<dyn Cluster> {
        Arc::new(self)
    }
}

impl<C: Cluster> IntoCluster for Arc<C> {
    fn into_cluster(self) -> Arc<dyn Cluster> {
        self
    }
}

impl IntoCluster for Arc<dyn Cluster> {
    fn into_cluster(self) -> Arc<dyn Cluster> {
        self
    }
}

/// A [`Fenceable`] cluster by value, in an `Arc`, or as `Arc<dyn Fenceable>`.
pub trait IntoFenceable {
    /// Shares the cluster.
    fn into_fenceable(self) -> Arc<dyn Fenceable>;
}

impl<C: Fenceable> IntoFenceable for C {
    fn into_fenceable(self) -> Arc<dyn Fenceable> {
        Arc::new(self)
    }
}

impl<C: Fenceable> IntoFenceable for Arc<C> {
    fn into_fenceable(self) -> Arc<dyn Fenceable> {
        self
    }
}

impl IntoFenceable for Arc<dyn Fenceable> {
    fn into_fenceable(self) -> Arc<dyn Fenceable> {
        self
    }
}
