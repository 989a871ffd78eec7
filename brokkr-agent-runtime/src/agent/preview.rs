//! What an agent would do now, without doing it.

use std::time::Duration;

use brokkr_core::protocol::{ControlPlane, ControlPlaneError, Poll, PollRequest};
use brokkr_reconcile::cluster::{ClusterError, IntoCluster};
use brokkr_reconcile::{Applier as _, ApplierError, Plan, Reconciler, ReconcilerConfig};

use super::AgentConfig;
use super::contents::Contents;
use super::epoch::TrustedEpoch;
use super::target::desired;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The broker gave no usable answer.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    /// The content of a stack cannot be had.
    #[error("the content of the stack {stack} cannot be had: {source}")]
    Content {
        /// The stack's name.
        stack: String,
        /// Why.
        source: ControlPlaneError,
    },
    /// The cluster could not be asked.
    #[error("the cluster cannot be asked: {0}")]
    Cluster(#[from] ClusterError),
    /// What is held, or what the cluster serves, is not known.
    #[error(transparent)]
    Applier(#[from] ApplierError),
}

/// What an agent with this key would do in this cluster now. Nothing is written: what a write would change is asked of the server by
/// dry runs. Needs the rights of the agent; it may run at the time.
pub async fn plan(
    control_plane: &dyn ControlPlane,
    cluster: impl IntoCluster,
    config: &AgentConfig,
) -> Result<Plan, PlanError> {
    let cluster = cluster.into_cluster();
    let agent = control_plane.identify().await?.agent_id;
    let request = PollRequest { wait: Duration::ZERO, ..PollRequest::default() };
    let malformed = |defect: &str| ControlPlaneError::Malformed(defect.to_owned());
    let Poll::Changed(state) = control_plane.target_state(agent, request).await? else {
        return Err(malformed("nothing was sent, although nothing was known").into());
    };
    if let Some(defect) = state.defect(agent) {
        return Err(malformed(defect).into());
    }
    let mut contents = Contents::default();
    if let Some((entry, source)) = contents.fetch(control_plane, state.entries.iter()).await.into_iter().next() {
        return Err(PlanError::Content { stack: entry.stack_name.clone(), source });
    }
    let applied_with = ReconcilerConfig::new(agent, &config.namespace).limits(config.limits.clone());
    let reconciler = Reconciler::new(cluster.clone(), applied_with);
    let held = reconciler.held().await?;
    let epoch = TrustedEpoch::new(cluster, config.namespace.clone(), agent);
    let may_remove = epoch.would_trust(&state, !held.is_empty()).await?;
    let (desired, _) = desired(&state, &contents, &held, may_remove);
    Ok(reconciler.plan(&desired).await?)
}
