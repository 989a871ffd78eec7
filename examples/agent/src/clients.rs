//! Builds the clients of the broker and the cluster from the command line. Sends no request.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use brokkr_agent_runtime::{AgentConfig, ClusterSource, KubeCluster};
use brokkr_core::model::KindPattern;
use brokkr_http::client::{Client, HttpControlPlane};
use brokkr_reconcile::LocalLimits;
use clap::Args;

#[derive(Args)]
pub(crate) struct ConnectArgs {
    /// Address of the broker, or several, separated by commas, which are tried in order.
    #[arg(long, env = "BROKKR__AGENT__BROKER_URL", value_delimiter = ',', required = true)]
    broker_url: Vec<String>,
    /// API key of the agent.
    #[arg(long, env = "BROKKR__AGENT__PAK", hide_env_values = true)]
    pak: String,
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
    /// Writes the objects of each generator, except those of admins, as the user and group brokkr:generator:NAME, so that the
    /// cluster checks the rights of the generator too. `brokkr-agent rbac --generator NAME` prints the roles for it.
    #[arg(long, env = "BROKKR__AGENT__IMPERSONATE", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    impersonate: bool,
}

/// The agent's clients and configuration.
pub(crate) struct Clients {
    pub(crate) control_plane: Arc<HttpControlPlane>,
    pub(crate) cluster: Arc<KubeCluster>,
    pub(crate) config: AgentConfig,
}

pub(crate) async fn build_clients(args: ConnectArgs) -> Result<Clients, Box<dyn Error>> {
    let mut kubeconfig = ClusterSource::default();
    if let Some(file) = args.kubeconfig {
        kubeconfig = kubeconfig.file(file);
    }
    if let Some(context) = args.context {
        kubeconfig = kubeconfig.context(context);
    }
    let cluster = KubeCluster::connect(&kubeconfig).await?;
    let client = Client::builder(listed(&args.broker_url), args.pak).build()?;
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
    let config = AgentConfig::default().namespace(args.namespace).limits(limits).impersonate(args.impersonate);
    Ok(Clients { control_plane: Arc::new(HttpControlPlane::new(client)), cluster: Arc::new(cluster), config })
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
