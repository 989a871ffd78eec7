//! Finds a Kubernetes API and connects to it.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig as KubeconfigFile};

use super::KubeCluster;

/// The source of a cluster's address and credentials.
///
/// ```
/// use brokkr_agent_runtime::ClusterSource;
///
/// let staging = ClusterSource::default().file("clusters.yaml").context("staging");
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClusterSource {
    file: Option<PathBuf>,
    context: Option<String>,
}

impl ClusterSource {
    /// Sets the file. Default: `KUBECONFIG`, then `~/.kube/config`, then the pod's service account.
    #[must_use]
    pub fn file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Sets the context in the file. Default: its current context.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }
}

/// The error of [`KubeCluster::connect`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The kubeconfig is invalid or unreadable.
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(#[source] Box<dyn Error + Send + Sync>),
    /// Neither a usable kubeconfig nor a service account exists.
    #[error("no cluster found: set KUBECONFIG, pass a kubeconfig file, or run in a pod ({0})")]
    NotInferred(#[source] Box<dyn Error + Send + Sync>),
    /// The client could not be created.
    #[error("cannot create the Kubernetes client: {0}")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

fn unusable(error: kube::config::KubeconfigError) -> ConnectError {
    ConnectError::Kubeconfig(error.into())
}

impl KubeCluster {
    /// Creates a client for the cluster that a kubeconfig names. Sends no request: an unreachable server fails on first
    /// use.
    ///
    /// # Errors
    ///
    /// Returns [`ConnectError`] if the kubeconfig or its credentials are unusable.
    pub async fn connect(from: &ClusterSource) -> Result<Self, ConnectError> {
        let options = KubeConfigOptions { context: from.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match &from.file {
            Some(file) => {
                let file = KubeconfigFile::read_from(file).map_err(unusable)?;
                kube::Config::from_custom_kubeconfig(file, &options).await.map_err(unusable)?
            }
            None if from.context.is_some() => kube::Config::from_kubeconfig(&options).await.map_err(unusable)?,
            None => kube::Config::infer().await.map_err(|error| ConnectError::NotInferred(error.into()))?,
        };
        config.connect_timeout = Some(Duration::from_secs(10));
        // A watch may be silent for a long time. Requests have their own timeout.
        config.read_timeout = None;
        // The agent decides when to retry, based on the current target state.
        config.default_retry = false;
        // The client is built without proxy support, and fails if the environment names a proxy for other purposes.
        if let Some(proxy) = config.proxy_url.take() {
            tracing::warn!(%proxy, "the agent connects to the API server directly, without the proxy");
        }
        let client = kube::Client::try_from(config.clone()).map_err(|error| ConnectError::Client(error.into()))?;
        Ok(Self { client, config: Some(Box::new(config)), user: None })
    }
}
