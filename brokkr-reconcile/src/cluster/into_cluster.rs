//! Conversions for arguments that accept a cluster.

use brokkr_core::into_shared;

use super::{Cluster, Fenceable};

into_shared! {
    /// Types that convert to a shared [`Cluster`]: a cluster by value, `Arc<C>`, and `Arc<dyn Cluster>`.
    IntoCluster::into_cluster => Cluster
}

into_shared! {
    /// Types that convert to a shared [`Fenceable`] cluster: a cluster by value, `Arc<C>`, and `Arc<dyn Fenceable>`.
    IntoFenceable::into_fenceable => Fenceable
}
