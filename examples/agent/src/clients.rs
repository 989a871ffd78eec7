//! Builds the clients of the broker and the cluster from the command line, with the agent's key.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use brokkr_agent_runtime::{AgentConfig, ClusterSource, JoinConfig, KubeCluster, join, stored_key};
use brokkr_core::model::KindPattern;
use brokkr_http::client::{Client, HttpControlPlane, HttpEnrolment};
use brokkr_reconcile::LocalLimits;
use clap::Args;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

#[derive(Args)]
pub(crate) struct ConnectArgs {
    /// Address of the broker, or several, separated by commas, which are tried in order.
    #[arg(long, env = "BROKKR__AGENT__BROKER_URL", value_delimiter = ',', required = true)]
    broker_url: Vec<String>,
    /// API key of the agent. Default: the key in the Secret of --key-secret.
    #[arg(long, env = "BROKKR__AGENT__PAK", hide_env_values = true)]
    pak: Option<String>,
    /// Name of the Secret, in the agent's namespace, that keeps the key of an agent that joined.
    #[arg(long, env = "BROKKR__AGENT__KEY_SECRET", default_value = JoinConfig::SECRET)]
    key_secret: String,
    /// Path of a kubeconfig. Default: KUBECONFIG, then ~/.kube/config, then the pod's service account.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig. Default: its current context.
    #[arg(long)]
    context: Option<String>,
    /// Namespace for the agent's own records in the cluster.
    #[arg(long, env = "BROKKR__AGENT__NAMESPACE", default_value = AgentConfig::NAMESPACE)]
    namespace: String,
    /// Namespaces that the agent is limited to, separated by commas; it needs permissions only there. Default: all.
    #[arg(long, env = "BROKKR__AGENT__NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Kinds that the agent is limited to, separated by commas, such as ConfigMap, Deployment.apps or *.batch. Default: all.
    #[arg(long, env = "BROKKR__AGENT__ALLOW_KINDS", value_delimiter = ',')]
    allow_kinds: Vec<String>,
}

/// How a new agent joins.
#[derive(Args, Default)]
pub(crate) struct JoinArgs {
    /// Join token: without a key, the agent exchanges it for one at its first start.
    #[arg(long, env = "BROKKR__AGENT__JOIN_TOKEN", hide_env_values = true)]
    join_token: Option<String>,
    /// Name of the agent when it joins. Default: cluster-, and the first eight characters of the cluster's UID.
    #[arg(long, env = "BROKKR__AGENT__NAME")]
    name: Option<String>,
    /// Name of the cluster when the agent joins, for display only.
    #[arg(long, env = "BROKKR__AGENT__CLUSTER_NAME", default_value = "")]
    cluster_name: String,
}

/// The agent's clients and configuration.
pub(crate) struct Clients {
    pub(crate) control_plane: Arc<HttpControlPlane>,
    pub(crate) cluster: Arc<KubeCluster>,
    pub(crate) config: AgentConfig,
}

/// Connects, and joins if the agent has no key yet. Returns `None` if stopped meanwhile.
pub(crate) async fn build_clients(
    args: ConnectArgs,
    new: JoinArgs,
    stop: &CancellationToken,
) -> Result<Option<Clients>, Box<dyn Error>> {
    let mut kubeconfig = ClusterSource::default();
    if let Some(file) = args.kubeconfig {
        kubeconfig = kubeconfig.file(file);
    }
    if let Some(context) = args.context {
        kubeconfig = kubeconfig.context(context);
    }
    let cluster = Arc::new(KubeCluster::connect(&kubeconfig).await?);
    // An empty list sets no limit.
    let mut limits = LocalLimits::default();
    let kinds: Vec<KindPattern> = listed(&args.allow_kinds).map(str::parse).collect::<Result<_, _>>()?;
    if !kinds.is_empty() {
        limits = limits.only_kinds(kinds);
    }
    let namespaces: Vec<String> = listed(&args.namespaces).map(str::to_owned).collect();
    if !namespaces.is_empty() {
        limits = limits.only_namespaces(namespaces);
    }
    let config = AgentConfig::default().namespace(args.namespace).limits(limits);
    let urls: Vec<&str> = listed(&args.broker_url).collect();
    let key = match given(args.pak) {
        Some(key) => key.into(),
        None => match joined(&urls, &args.key_secret, new, cluster.clone(), &config, stop).await? {
            Some(key) => key,
            None => return Ok(None),
        },
    };
    let control_plane = Arc::new(HttpControlPlane::new(Client::builder(urls, key).build()?));
    Ok(Some(Clients { control_plane, cluster, config }))
}

/// The key in the Secret, or that of a join.
async fn joined(
    urls: &[&str],
    secret: &str,
    new: JoinArgs,
    cluster: Arc<KubeCluster>,
    config: &AgentConfig,
    stop: &CancellationToken,
) -> Result<Option<SecretString>, Box<dyn Error>> {
    let mut membership = JoinConfig::default().cluster_name(new.cluster_name).secret(secret);
    if let Some(name) = given(new.name) {
        membership = membership.name(name);
    }
    match given(new.join_token) {
        Some(token) => {
            let broker = HttpEnrolment::new(Client::builder(urls.iter().copied(), token).build()?);
            Ok(join(&broker, cluster, config, &membership, stop).await?)
        }
        None => match stored_key(cluster, config, &membership).await? {
            Some(key) => Ok(Some(key)),
            None => Err("the agent has no key: set BROKKR__AGENT__JOIN_TOKEN to join, or BROKKR__AGENT__PAK".into()),
        },
    }
}

/// A value that is not blank: a manifest may set a variable to nothing.
fn given(value: Option<String>) -> Option<String> {
    value.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
}

/// The elements of a list, without those that are blank: a manifest may set a variable to nothing.
fn listed(elements: &[String]) -> impl Iterator<Item = &str> {
    elements.iter().map(|it| it.trim()).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_elements_are_no_elements() {
        let elements = ["", " a", "b ", " "].map(str::to_owned);
        assert!(listed(&elements).eq(["a", "b"]));
        assert_eq!(listed(&[String::new()]).count(), 0);
    }
}
