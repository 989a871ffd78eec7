//! The suites on the real thing.

use std::sync::Arc;

use brokkr_agent_runtime::{KubeCluster, Kubeconfig};

use crate::support::clusters;

async fn real() -> Arc<KubeCluster> {
    let file = Some(clusters()[0].admin_kubeconfig.clone());
    Arc::new(KubeCluster::connect(&Kubeconfig { file, context: None }).await.unwrap())
}

brokkr_reconcile::cluster_conformance!(((), real().await));
