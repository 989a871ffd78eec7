//! The agent's loop: poll → plan → apply → prune → report. The poll is the heartbeat.
//!
//! Tasks: the *poller* keeps the newest target state, the *worker* makes the cluster so, the *reporter* tells the
//! broker. A fourth notes how far they came. None waits for another: a broker that is away does not stop the worker, a slow
//! cluster does not stop the heartbeat.

mod backoff;
mod config;
mod contents;
mod epoch;
mod event;
mod lease;
mod outbox;
mod poller;
mod preview;
mod probe;
mod record;
mod reporter;
mod spool;
mod start;
mod status;
mod target;
mod watermark;
mod worker;

use std::fmt;
use std::sync::Arc;

use brokkr_core::model::AgentId;
use brokkr_core::protocol::{ControlPlane, IntoControlPlane};
use brokkr_reconcile::cluster::{Cluster, Fenceable, IntoFenceable};
use brokkr_reconcile::{Applier, Reconciler, ReconcilerConfig};
use lease::Candidate;
use outbox::Outbox;
use spool::Spool;
use start::Started;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use watermark::Watermark;
use worker::{Tools, Worker};

pub use config::AgentConfig;
pub use preview::{PlanError, plan};
pub use probe::Probe;

/// Why an agent stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// A task ended that never should: a defect.
    #[error("the agent's {0} ended unexpectedly")]
    Ended(&'static str),
    /// The folder for events cannot be used.
    #[error("the spool {folder} cannot be used: {source}")]
    Spool {
        /// The folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
}

type MakeApplier = dyn Fn(AgentId) -> Arc<dyn Applier> + Send + Sync;

/// An agent, ready to run.
pub struct Agent {
    control_plane: Arc<dyn ControlPlane>,
    cluster: Arc<dyn Fenceable>,
    applier: Option<Box<MakeApplier>>,
    config: AgentConfig,
    probe: Probe,
}

impl Agent {
    /// An agent that keeps `cluster` as the broker behind `control_plane` wants it.
    ///
    /// With a Lease it writes to the cluster only behind a [`Fence`](brokkr_reconcile::cluster::Fence) that closes when the lead ends.
    pub fn new(control_plane: impl IntoControlPlane, cluster: impl IntoFenceable, config: AgentConfig) -> Self {
        Self {
            control_plane: control_plane.into_control_plane(),
            cluster: cluster.into_fenceable(),
            applier: None,
            config,
            probe: Probe::default(),
        }
    }

    /// Replaces the reconciler on the cluster by the applier that `make` returns. Calls to it are cancelled when the process loses
    /// the lead; unlike the reconciler's, its writes are not fenced.
    #[must_use]
    pub fn with_applier<A: Applier>(mut self, make: impl Fn(AgentId) -> A + Send + Sync + 'static) -> Self {
        self.applier = Some(Box::new(move |agent| Arc::new(make(agent))));
        self
    }

    /// How the agent fares while it runs.
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// Runs until `stop` is cancelled; what is in flight then is finished, and what was to be reported is tried once more.
    ///
    /// With a Lease, only one of several processes works; the others stand by.
    pub async fn run(self, stop: CancellationToken) -> Result<(), AgentError> {
        let spool = self.config.spool.as_deref().map(|folder| {
            Spool::open(folder).map_err(|source| AgentError::Spool { folder: folder.display().to_string(), source })
        });
        let outbox = Arc::new(Outbox::new(spool.transpose()?));
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(self.config.start_spread.mul_f64(fastrand::f64())) => {}
        }
        let Some(started) = start::start(&*self.control_plane, &*self.cluster, &self.config, &stop).await else {
            return Ok(());
        };
        let agent = started.identity.agent_id;
        self.probe.introduced();
        tracing::info!(%agent, name = %started.identity.name, cluster = %started.cluster_uid, "serving");
        let Some(duration) = self.config.lease else {
            self.probe.leads(true);
            return self.work(&started, self.cluster.clone(), outbox, stop).await;
        };
        let mut candidate = Candidate::new(self.cluster.clone(), self.config.namespace.clone(), agent, duration);
        while let Some(mut term) = candidate.stand(&stop).await {
            self.probe.leads(true);
            let cluster = term.cluster.clone();
            let ended = tokio::select! {
                ended = self.work(&started, cluster, outbox.clone(), stop.clone()) => Some(ended),
                // What is in flight is cancelled with the work.
                () = candidate.keep(&mut term) => None,
            };
            self.probe.leads(false);
            if let Some(ended) = ended {
                candidate.release(term).await;
                return ended;
            }
        }
        Ok(())
    }

    /// Works until stopped. Dropping it ends everything at once.
    async fn work(
        &self,
        started: &Started,
        cluster: Arc<dyn Cluster>,
        outbox: Arc<Outbox>,
        stop: CancellationToken,
    ) -> Result<(), AgentError> {
        let agent = started.identity.agent_id;
        let applier = match &self.applier {
            Some(make) => make(agent),
            None => {
                let config = ReconcilerConfig::new(agent, &self.config.namespace).limits(self.config.limits.clone());
                Arc::new(Reconciler::new(cluster.clone(), config))
            }
        };
        let watermark = Watermark::new(cluster.clone(), self.config.namespace.clone(), agent);
        let doing = "looking how far the target state had come";
        let Some(noted) = start::retry_until_ok(&stop, &self.config, doing, || watermark.read()).await else {
            return Ok(());
        };
        outbox.begin_term();
        let (latest, targets) = watch::channel(None);
        let (plane, config) = (self.control_plane.clone(), self.config.clone());
        // The last word is had when the worker is done.
        let told = CancellationToken::new();
        let poller = poller::run(
            plane.clone(),
            agent,
            config.clone(),
            self.probe.clone(),
            noted.marks.clone(),
            latest,
            stop.clone(),
        );
        let reporter = reporter::run(plane.clone(), agent, started.cluster_uid.clone(), outbox.clone(), told.clone());
        let probe = self.probe.clone();
        let (reached, newest) = watch::channel(None);
        let watermark = watermark.keep(noted, newest, config.clone(), stop.clone());
        let tools = Tools { control_plane: plane, cluster, applier, agent, config, outbox, probe, reached };
        let worker = Worker::new(tools, targets).run(stop);
        let mut tasks = JoinSet::new();
        tasks.spawn(poller);
        let worker = async move {
            worker.await;
            told.cancel();
        };
        tasks.spawn(worker);
        tasks.spawn(reporter);
        tasks.spawn(watermark);
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|_| AgentError::Ended("work"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("config", &self.config).finish_non_exhaustive()
    }
}
