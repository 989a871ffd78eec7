//! Startup: the identities of the agent and of the cluster.

use std::future::Future;
use std::time::Duration;

use brokkr_core::protocol::{ControlPlane, Identity};
use brokkr_reconcile::cluster::{ApiKind, ApplyOptions, Cluster, ClusterError, meta};
use brokkr_reconcile::field_manager;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::AgentConfig;
use super::backoff::pause;

pub(super) struct Started {
    pub(super) identity: Identity,
    pub(super) cluster_uid: String,
}

/// Determines the identities, with retries. Returns `None` if the agent is stopped meanwhile.
pub(super) async fn start(
    control_plane: &dyn ControlPlane,
    cluster: &dyn Cluster,
    config: &AgentConfig,
    stop: &CancellationToken,
) -> Option<Started> {
    let identity =
        retry_until_ok(stop, config, "identifying the agent to the broker", || control_plane.identify()).await?;
    let manager = field_manager(identity.agent_id);
    retry_until_ok(stop, config, "reading or creating the agent's namespace", || {
        ensure_namespace(cluster, &config.namespace, &manager)
    })
    .await?;
    let cluster_uid =
        retry_until_ok(stop, config, "reading the cluster's identity", || cluster_uid(cluster, &config.namespace))
            .await?;
    Some(Started { identity, cluster_uid })
}

/// Retries until success, with growing pauses. Returns `None` if stopped.
pub(super) async fn retry_until_ok<T, E, F>(
    stop: &CancellationToken,
    config: &AgentConfig,
    doing: &str,
    attempt: impl Fn() -> F,
) -> Option<T>
where
    E: std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let mut failures = 0;
    loop {
        let result = tokio::select! {
            () = stop.cancelled() => return None,
            result = attempt() => result,
        };
        match result {
            Ok(value) => return Some(value),
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, failures, "{doing} failed; the agent retries");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(pause(failures, Duration::from_millis(500), config.retry_max)) => {}
        }
    }
}

fn namespaces() -> ApiKind {
    ApiKind::v1("", "Namespace", "namespaces", false)
}

/// Returns the cluster's identity: the UID of the Namespace kube-system, which every cluster has. If the agent may not
/// read it, an object that exists in the agent's own namespace from its creation identifies the cluster.
pub(super) async fn cluster_uid(cluster: &dyn Cluster, own: &str) -> Result<String, ClusterError> {
    let kind = namespaces();
    let object = match cluster.get(&kind.at(None, "kube-system")).await {
        Err(ClusterError::Forbidden(_)) => {
            let kind = ApiKind::v1("", "ConfigMap", "configmaps", true);
            cluster.get(&kind.at(Some(own), "kube-root-ca.crt")).await?
        }
        object => object?,
    };
    let uid = object.as_ref().and_then(meta::uid).map(str::to_owned);
    uid.ok_or_else(|| ClusterError::NotFound("the Namespace kube-system".to_owned()))
}

pub(super) async fn ensure_namespace(cluster: &dyn Cluster, name: &str, manager: &str) -> Result<(), ClusterError> {
    let kind = namespaces();
    let at = kind.at(None, name);
    match cluster.get(&at).await {
        Ok(Some(_)) => return Ok(()),
        // The agent may not read its namespace. If it does not exist, the first write reports that.
        Err(ClusterError::Forbidden(_)) => return Ok(()),
        Ok(None) => {}
        Err(error) => return Err(error),
    }
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    cluster.apply(&at, &body, &ApplyOptions { field_manager: manager, force: false, dry_run: false }).await?;
    Ok(())
}
