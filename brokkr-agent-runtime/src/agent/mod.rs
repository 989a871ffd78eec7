//! The agent's loop: poll, plan, apply, prune, report. The poll is also the heartbeat.
//!
//! The *poller* fetches the newest target state, the *worker* reconciles the cluster, and the *reporter* sends events and
//! statuses. A fourth task stores the watermark. The tasks do not block each other: the worker continues while the broker
//! is unavailable, and the heartbeat continues while the cluster is slow.

mod backoff;
mod condition_texts;
mod config;
mod desired;
mod epoch;
mod event;
mod join;
mod key_secret;
mod lease;
mod manifest_cache;
mod outbox;
mod poller;
mod preview;
mod probe;
mod record;
mod removal_budget;
mod reporter;
mod spool;
mod stack_state;
mod start;
mod watermark;
mod worker;

use std::fmt;
use std::sync::Arc;

use brokkr_core::model::AgentId;
use brokkr_core::protocol::{ControlPlane, IntoControlPlane};
use brokkr_reconcile::cluster::{Cluster, Fenceable, IntoFenceable};
use brokkr_reconcile::{Applier, Reconciler};
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
pub use join::{JoinConfig, JoinError, join, stored_key};
pub use preview::{PlanError, plan};
pub use probe::Probe;

/// The error of an agent that stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// A task ended that must run until the agent stops. This is a bug.
    #[error("the agent's {0} ended unexpectedly; this is a bug")]
    Ended(&'static str),
    /// The folder for events is unusable.
    #[error("cannot use the spool folder {folder}: {source}")]
    Spool {
        /// Path of the folder.
        folder: String,
        /// The error of the file system.
        source: std::io::Error,
    },
}

type MakeApplier = dyn Fn(AgentId) -> Arc<dyn Applier> + Send + Sync;

/// An agent: keeps one cluster in the target state that its broker serves.
///
/// Create it with [`new`](Self::new), then await [`run`](Self::run). The agent's key, in the control plane, decides which
/// agent it is.
pub struct Agent {
    control_plane: Arc<dyn ControlPlane>,
    cluster: Arc<dyn Fenceable>,
    applier: Option<Box<MakeApplier>>,
    config: AgentConfig,
    probe: Probe,
}

impl Agent {
    /// Creates an agent that reconciles `cluster` with the target state from `control_plane`.
    ///
    /// With a Lease the agent writes to the cluster only behind a [`Fence`](brokkr_reconcile::cluster::Fence), which
    /// closes when the lead ends.
    pub fn new(control_plane: impl IntoControlPlane, cluster: impl IntoFenceable, config: AgentConfig) -> Self {
        Self {
            control_plane: control_plane.into_control_plane(),
            cluster: cluster.into_fenceable(),
            applier: None,
            config,
            probe: Probe::default(),
        }
    }

    /// Replaces the default reconciler by the applier that `make` returns. The agent drops the applier's futures when
    /// this process loses the lead. Unlike the reconciler's, the applier's writes are not fenced.
    #[must_use]
    pub fn with_applier<A: Applier>(mut self, make: impl Fn(AgentId) -> A + Send + Sync + 'static) -> Self {
        self.applier = Some(Box::new(move |agent| Arc::new(make(agent))));
        self
    }

    /// Returns a probe of the agent's readiness. Obtain it before [`run`](Self::run).
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// Runs the agent until `stop` is cancelled. Then it finishes the passes in flight, and tries once to send the last
    /// report.
    ///
    /// With a Lease, only one of several processes works; the others stand by.
    ///
    /// # Errors
    ///
    /// Returns [`AgentError`] if the spool folder is unusable or a task ends unexpectedly. Failures of broker and cluster
    /// are retried, and never end the agent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all tasks at once. The next run continues from the state in the cluster.
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
        while let Some(mut term) = candidate.acquire(&stop).await {
            self.probe.leads(true);
            let cluster = term.cluster.clone();
            let ended = tokio::select! {
                ended = self.work(&started, cluster, outbox.clone(), stop.clone()) => Some(ended),
                // The futures in flight are dropped with the work.
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

    /// Works until stopped. Dropping the future ends everything at once.
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
            None => Arc::new(Reconciler::new(cluster.clone(), self.config.reconciler(agent))),
        };
        let watermark = Watermark::new(cluster.clone(), self.config.namespace.clone(), agent);
        let doing = "reading the watermark";
        let Some(noted) = start::retry_until_ok(&stop, &self.config, doing, || watermark.read()).await else {
            return Ok(());
        };
        outbox.begin_term();
        let (latest, targets) = watch::channel(None);
        let (plane, config) = (self.control_plane.clone(), self.config.clone());
        // The last report starts after the worker has ended.
        let worker_done = CancellationToken::new();
        let poller = poller::run(
            plane.clone(),
            agent,
            config.clone(),
            self.probe.clone(),
            noted.marks.clone(),
            latest,
            stop.clone(),
        );
        let reporter =
            reporter::run(plane.clone(), agent, started.cluster_uid.clone(), outbox.clone(), worker_done.clone());
        let probe = self.probe.clone();
        let (reached, newest) = watch::channel(None);
        let watermark = watermark.keep(noted, newest, config.clone(), stop.clone());
        let tools = Tools { control_plane: plane, cluster, applier, agent, config, outbox, probe, reached };
        let worker = Worker::new(tools, targets).run(stop);
        let mut tasks = JoinSet::new();
        tasks.spawn(poller);
        let worker = async move {
            worker.await;
            worker_done.cancel();
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
