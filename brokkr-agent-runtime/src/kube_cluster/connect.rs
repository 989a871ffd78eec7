//! Finding and connecting to a Kubernetes API.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig as KubeconfigFile};

use super::KubeCluster;

/// Where to find a cluster's address and credentials.
///
/// ```
/// use brokkr_agent_runtime::Kubeconfig;
///
/// let staging = Kubeconfig::default().file("clusters.yaml").context("staging");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Kubeconfig {
    file: Option<PathBuf>,
    context: Option<String>,
}

impl Kubeconfig {
    /// The file. Default: `KUBECONFIG`, then `~/.kube/config`, then the service account of the pod.
    #[must_use]
    pub fn file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The context in the file. Default: its current context.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }
}

/// Why there is no connection to a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(#[source] Box<dyn Error + Send + Sync>),
    /// There is neither a kubeconfig nor a service account.
    #[error("no cluster found: set KUBECONFIG, give a kubeconfig file, or run in a pod ({0})")]
    Nowhere(#[source] Box<dyn Error + Send + Sync>),
    /// The client cannot be made.
    #[error("cannot connect: {0}")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

fn unusable(error: kube::config::KubeconfigError) -> ConnectError {
    ConnectError::Kubeconfig(error.into())
}

impl KubeCluster {
    /// Connects to the cluster that a kubeconfig names.
    pub async fn connect(from: &Kubeconfig) -> Result<Self, ConnectError> {
        let options = KubeConfigOptions { context: from.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match &from.file {
            Some(file) => {
                let file = KubeconfigFile::read_from(file).map_err(unusable)?;
                kube::Config::from_custom_kubeconfig(file, &options).await.map_err(unusable)?
            }
            None if from.context.is_some() => kube::Config::from_kubeconfig(&options).await.map_err(unusable)?,
            None => kube::Config::infer().await.map_err(|error| ConnectError::Nowhere(error.into()))?,
        };
        config.connect_timeout = Some(Duration::from_secs(10));
        // A watch may be silent for long; requests have a time-out of their own.
        config.read_timeout = None;
        // The agent decides when to try again, with the target state in view.
        config.default_retry = false;
        // Without the feature for proxies a variable of the environment would make the client fail.
        config.proxy_url = None;
        let client = kube::Client::try_from(config.clone()).map_err(|error| ConnectError::Client(error.into()))?;
        Ok(Self { client, config: Some(Box::new(config)) })
    }
}
