//! The conformance suite of `Cluster` on a real API server.

use std::sync::Arc;

use brokkr_agent_runtime::{ClusterSource, KubeCluster};

use crate::support::clusters;

async fn real() -> Arc<KubeCluster> {
    let from = ClusterSource::default().file(&clusters()[0].admin_kubeconfig);
    Arc::new(KubeCluster::connect(&from).await.unwrap())
}

brokkr_reconcile::cluster_conformance!(((), real().await));
