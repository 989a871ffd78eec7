//! Finding the broker and the cluster.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use brokkr_agent_runtime::{AgentConfig, KubeCluster, Kubeconfig};
use brokkr_http::client::{Client, HttpControlPlane};
use brokkr_reconcile::{KindPattern, LocalLimits};
use clap::Args;

#[derive(Args)]
pub(crate) struct ConnectArgs {
    /// The broker's address; several, separated by commas, are tried in turn.
    #[arg(long, env = "BROKKR__AGENT__BROKER_URL", value_delimiter = ',', required = true)]
    broker_url: Vec<String>,
    /// The agent's key.
    #[arg(long, env = "BROKKR__AGENT__PAK", hide_env_values = true)]
    pak: String,
    /// A kubeconfig; without one KUBECONFIG, ~/.kube/config and then the pod's service account are tried.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig.
    #[arg(long)]
    context: Option<String>,
    /// Namespace for what the agent keeps in the cluster.
    #[arg(long, env = "BROKKR__AGENT__NAMESPACE", default_value = "brokkr-system")]
    namespace: String,
    /// The only namespaces that the agent works in, separated by commas: it needs rights in these alone.
    #[arg(long, env = "BROKKR__AGENT__NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// The only kinds that the agent may touch, separated by commas: ConfigMap, Deployment.apps, *.batch.
    #[arg(long, env = "BROKKR__AGENT__ALLOW_KINDS", value_delimiter = ',')]
    allow_kinds: Vec<KindPattern>,
}

/// Both ends of an agent.
pub(crate) struct Connected {
    pub(crate) control_plane: Arc<HttpControlPlane>,
    pub(crate) cluster: Arc<KubeCluster>,
    pub(crate) config: AgentConfig,
}

pub(crate) async fn connect(args: ConnectArgs) -> Result<Connected, Box<dyn Error>> {
    let cluster = KubeCluster::connect(&Kubeconfig { file: args.kubeconfig, context: args.context }).await?;
    let urls = args.broker_url.into_iter().map(|url| url.trim().to_owned());
    let client = Client::builder(urls, args.pak.into()).build()?;
    let mut config = AgentConfig::default();
    config.namespace = args.namespace;
    config.limits = LocalLimits {
        kinds: only(args.allow_kinds),
        namespaces: only(args.namespaces.into_iter().filter(|it| !it.is_empty()).collect()),
    };
    Ok(Connected { control_plane: Arc::new(HttpControlPlane::new(client)), cluster: Arc::new(cluster), config })
}

/// A limit that names nothing is none.
fn only<T: Ord>(named: Vec<T>) -> Option<BTreeSet<T>> {
    (!named.is_empty()).then(|| named.into_iter().collect())
}
