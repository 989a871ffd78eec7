//! What must be known before anything is done: who we are, and which cluster this is.

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

/// Finds out, however long it takes. `None` when the agent was stopped meanwhile.
pub(super) async fn start(
    control_plane: &dyn ControlPlane,
    cluster: &dyn Cluster,
    config: &AgentConfig,
    stop: &CancellationToken,
) -> Option<Started> {
    let identity = retry_until_ok(stop, config, "asking the broker who we are", || control_plane.identify()).await?;
    let manager = field_manager(identity.agent_id);
    retry_until_ok(stop, config, "looking for the agent's namespace", || {
        ensure_namespace(cluster, &config.namespace, &manager)
    })
    .await?;
    let cluster_uid =
        retry_until_ok(stop, config, "asking which cluster this is", || cluster_uid(cluster, &config.namespace))
            .await?;
    Some(Started { identity, cluster_uid })
}

/// Tries until it works, with growing pauses.
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
                tracing::warn!(%error, failures, "{doing} failed; trying again");
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

/// The cluster's identity: the UID of the Namespace that every cluster has from its first start. Who may not read that is told by
/// something that its own namespace has from its first moment.
async fn cluster_uid(cluster: &dyn Cluster, own: &str) -> Result<String, ClusterError> {
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

async fn ensure_namespace(cluster: &dyn Cluster, name: &str, manager: &str) -> Result<(), ClusterError> {
    let kind = namespaces();
    let at = kind.at(None, name);
    match cluster.get(&at).await {
        Ok(Some(_)) => return Ok(()),
        // Not allowed to look: it was made for us, or the first write will say what is wrong.
        Err(ClusterError::Forbidden(_)) => return Ok(()),
        Ok(None) => {}
        Err(error) => return Err(error),
    }
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    cluster.apply(&at, &body, &ApplyOptions { manager, force: false, dry_run: false }).await?;
    Ok(())
}
