//! The agent's loop: poll → plan → apply → prune → report. The poll is the heartbeat.
//!
//! Three tasks: the *poller* keeps the newest target state, the *worker* makes the cluster so, the *reporter* tells the
//! broker. None waits for another: a broker that is away does not stop the worker, a slow cluster does not stop the heartbeat.

mod backoff;
mod config;
mod contents;
mod epoch;
mod outbox;
mod poller;
mod reporter;
mod start;
mod status;
mod worker;

use std::fmt;
use std::sync::Arc;

use brokkr_core::cluster::Cluster;
use brokkr_core::model::AgentId;
use brokkr_core::protocol::ControlPlane;
use brokkr_core::reconcile::{Applier, Reconciler, ReconcilerConfig};
use tokio_util::sync::CancellationToken;

pub use config::AgentConfig;

/// Why an agent stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// A task ended that never should: a defect.
    #[error("the agent's {0} ended unexpectedly")]
    Ended(&'static str),
}

type MakeApplier = dyn Fn(AgentId) -> Arc<dyn Applier> + Send + Sync;

/// An agent, ready to run.
pub struct Agent {
    control_plane: Arc<dyn ControlPlane>,
    cluster: Arc<dyn Cluster>,
    applier: Option<Box<MakeApplier>>,
    config: AgentConfig,
}

impl Agent {
    /// An agent that keeps this cluster as this broker wants it.
    pub fn new(control_plane: Arc<dyn ControlPlane>, cluster: Arc<dyn Cluster>, config: AgentConfig) -> Self {
        Self { control_plane, cluster, applier: None, config }
    }

    /// Brings another way of making the target state true than the reconciler on the cluster.
    #[must_use]
    pub fn with_applier(mut self, make: impl Fn(AgentId) -> Arc<dyn Applier> + Send + Sync + 'static) -> Self {
        self.applier = Some(Box::new(make));
        self
    }

    /// Runs until `stop` is cancelled; what is in flight then is finished, and what was to be reported is tried once more.
    pub async fn run(self, stop: CancellationToken) -> Result<(), AgentError> {
        let Some(started) = start::start(&*self.control_plane, &*self.cluster, &self.config, &stop).await else {
            return Ok(());
        };
        let agent = started.identity.agent_id;
        let applier = match &self.applier {
            Some(make) => make(agent),
            None => {
                let config = ReconcilerConfig { agent, namespace: self.config.namespace.clone() };
                Arc::new(Reconciler::new(self.cluster.clone(), config))
            }
        };
        tracing::info!(%agent, name = %started.identity.name, cluster = %started.cluster_uid, "serving");
        let outbox = Arc::new(outbox::Outbox::new());
        let (latest, targets) = tokio::sync::watch::channel(None);
        let poller = poller::run(self.control_plane.clone(), agent, self.config.clone(), latest, stop.clone());
        let reporter =
            reporter::run(self.control_plane.clone(), agent, started.cluster_uid, outbox.clone(), stop.clone());
        let worker =
            worker::Worker::new(self.control_plane, self.cluster, applier, agent, self.config, outbox, targets);
        let (poller, reporter) = (tokio::spawn(poller), tokio::spawn(reporter));
        let worker = tokio::spawn(worker.run(stop.clone()));
        let ended = |name| move |_| AgentError::Ended(name);
        worker.await.map_err(ended("worker"))?;
        poller.await.map_err(ended("poller"))?;
        reporter.await.map_err(ended("reporter"))?;
        Ok(())
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("config", &self.config).finish_non_exhaustive()
    }
}
