//! Finding and connecting to a Kubernetes API.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig as KubeconfigFile};

use super::KubeCluster;

/// Where to find a cluster's address and credentials.
#[derive(Debug, Clone, Default)]
pub struct Kubeconfig {
    /// The file; absent for the usual places, and then for the service account of the pod.
    pub file: Option<PathBuf>,
    /// The context in it; absent for the current one.
    pub context: Option<String>,
}

/// Why there is no connection to a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// There is neither a kubeconfig nor a service account.
    #[error("no cluster found: set KUBECONFIG, give a kubeconfig file, or run in a pod ({0})")]
    Nowhere(#[from] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("cannot connect: {0}")]
    Client(#[from] kube::Error),
}

impl KubeCluster {
    /// Connects to the cluster that a kubeconfig names.
    pub async fn connect(from: &Kubeconfig) -> Result<Self, ConnectError> {
        let options = KubeConfigOptions { context: from.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match &from.file {
            Some(file) => kube::Config::from_custom_kubeconfig(KubeconfigFile::read_from(file)?, &options).await?,
            None if from.context.is_some() => kube::Config::from_kubeconfig(&options).await?,
            None => kube::Config::infer().await?,
        };
        config.connect_timeout = Some(Duration::from_secs(10));
        // A watch may be silent for long; requests have a time-out of their own.
        config.read_timeout = None;
        // The agent decides when to try again, with the target state in view.
        config.default_retry = false;
        // Without the feature for proxies a variable of the environment would make the client fail.
        config.proxy_url = None;
        let client = kube::Client::try_from(config.clone())?;
        Ok(Self { client, config: Some(Box::new(config)) })
    }
}
