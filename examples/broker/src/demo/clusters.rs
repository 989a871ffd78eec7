//! The clusters of the demo.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brokkr_reconcile::cluster::{Fenceable, MemoryCluster};
use clap::Args;

const ENVIRONMENTS: [&str; 3] = ["development", "staging", "production"];

#[derive(Args)]
pub(crate) struct ClusterArgs {
    /// Use the real clusters of this kubeconfig instead of clusters in memory; requires a build with `--features
    /// kubeconfig`.
    #[arg(long, requires = "contexts")]
    kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig; may be repeated.
    #[arg(long = "context", requires = "kubeconfig")]
    contexts: Vec<String>,
}

/// A cluster and the name of its agent.
pub(crate) type Named = (String, Arc<dyn Fenceable>);

impl ClusterArgs {
    /// Whether the clusters continue to exist after the demo.
    pub(crate) fn are_real(&self) -> bool {
        self.kubeconfig.is_some()
    }

    /// Connects to the clusters: three in memory, or one per context.
    pub(crate) async fn connect(&self) -> Result<Vec<Named>, Box<dyn Error>> {
        match &self.kubeconfig {
            Some(file) => real(file, &self.contexts).await,
            None => Ok(ENVIRONMENTS.map(in_memory).into()),
        }
    }
}

fn in_memory(name: &str) -> Named {
    (name.to_owned(), Arc::new(MemoryCluster::with_controllers()))
}

#[cfg(feature = "kubeconfig")]
async fn real(file: &Path, contexts: &[String]) -> Result<Vec<Named>, Box<dyn Error>> {
    use brokkr_agent_runtime::{ClusterSource, KubeCluster};

    let mut clusters: Vec<Named> = Vec::new();
    for (n, context) in contexts.iter().enumerate() {
        let from = ClusterSource::default().file(file).context(context);
        let cluster = KubeCluster::connect(&from).await.map_err(|error| format!("context {context}: {error}"))?;
        clusters.push((format!("cluster-{}", n + 1), Arc::new(cluster)));
    }
    Ok(clusters)
}

#[cfg(not(feature = "kubeconfig"))]
async fn real(_: &Path, _: &[String]) -> Result<Vec<Named>, Box<dyn Error>> {
    Err("this build has no Kubernetes client: cargo run -p brokkr-broker --features kubeconfig -- demo …".into())
}
