//! Previews the agent's actions.

use std::time::Duration;

use brokkr_core::protocol::{ControlPlane, ControlPlaneError, PollAnswer, PollRequest};
use brokkr_reconcile::cluster::{ClusterError, IntoCluster};
use brokkr_reconcile::{Applier as _, ApplierError, Plan, Reconciler};

use super::AgentConfig;
use super::desired::desired;
use super::epoch::TrustedEpoch;
use super::manifest_cache::ManifestCache;

/// The error of a preview.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The broker gave no usable answer.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    /// The manifests of a stack could not be fetched.
    #[error("cannot fetch the manifests of the stack {stack}: {source}")]
    Content {
        /// The stack's name.
        stack: String,
        /// The error of the download.
        source: ControlPlaneError,
    },
    /// The cluster could not be read.
    #[error("cannot read the cluster: {0}")]
    Cluster(#[from] ClusterError),
    /// The inventories or the served kinds could not be read.
    #[error(transparent)]
    Applier(#[from] ApplierError),
}

/// Returns what an agent with this key would do in this cluster now.
///
/// Writes nothing: dry runs show what a write would change. Needs the agent's rights, and may run beside the agent.
///
/// # Errors
///
/// Returns [`PlanError`] if the broker or the cluster cannot be read. The problems of single objects are in the plan.
pub async fn plan(
    control_plane: &dyn ControlPlane,
    cluster: impl IntoCluster,
    config: &AgentConfig,
) -> Result<Plan, PlanError> {
    let cluster = cluster.into_cluster();
    let agent = control_plane.identify().await?.agent_id;
    let request = PollRequest { wait: Duration::ZERO, knows_hold: true, ..PollRequest::default() };
    let malformed = |defect: &str| ControlPlaneError::Malformed(defect.to_owned());
    let PollAnswer::Changed(state) = control_plane.target_state(agent, request).await? else {
        return Err(malformed("the broker sent no target state, although the agent has none").into());
    };
    if let Some(defect) = state.defect(agent) {
        return Err(malformed(defect).into());
    }
    let mut manifests = ManifestCache::default();
    let failed = manifests.fetch(control_plane, state.entries.iter()).await;
    if let Some((entries, source)) = failed.into_iter().next()
        && let Some(entry) = entries.first()
    {
        return Err(PlanError::Content { stack: entry.stack_name.clone(), source });
    }
    let applied_with = config.reconciler(agent);
    let reconciler = Reconciler::new(cluster.clone(), applied_with);
    let held = reconciler.held().await?;
    let epoch = TrustedEpoch::new(cluster, config.namespace.clone(), agent);
    let may_remove = epoch.would_trust(&state, !held.is_empty()).await?;
    let (desired, _) = desired(&state, &manifests, &held, may_remove);
    Ok(reconciler.plan(&desired).await?)
}
