//! Conversions for arguments that accept a cluster.

use std::sync::Arc;

use super::{Cluster, Fenceable};

/// Types that convert to a shared [`Cluster`]: a cluster by value, `Arc<C>`, and `Arc<dyn Cluster>`.
pub trait IntoCluster {
    /// Converts to a shared cluster.
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

/// Types that convert to a shared [`Fenceable`] cluster: a cluster by value, `Arc<C>`, and `Arc<dyn Fenceable>`.
pub trait IntoFenceable {
    /// Converts to a shared cluster.
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
