//! How an agent behaves.

use std::path::PathBuf;
use std::time::Duration;

use brokkr_reconcile::LocalLimits;

/// How an agent behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AgentConfig {
    /// Namespace for what the agent keeps in the cluster; made if it is missing and that is allowed.
    pub namespace: String,
    /// How often everything that is held is compared with the cluster. What others change is seen at once where watching is
    /// allowed; this finds the rest.
    pub interval: Duration,
    /// For how long the leader among the replicas of this agent is relied on after each renewal of its Lease, in whole seconds;
    /// absent for an agent that certainly runs once.
    pub lease: Option<Duration>,
    /// A folder that keeps events which were not told yet over a restart; absent to keep them in memory only.
    pub spool: Option<PathBuf>,
    /// What the agent may touch.
    pub limits: LocalLimits,
    /// The start is put off by a random time up to this, so that many agents that start together do not ask together.
    pub start_spread: Duration,
    /// How long the broker may keep a poll open.
    pub poll_wait: Duration,
    /// After how long of waiting for the same thing a stack counts as stalled.
    pub stalled_after: Duration,
    /// The first pause after a failure; doubled with each further one.
    pub retry_first: Duration,
    /// The longest pause after failures.
    pub retry_max: Duration,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            namespace: "brokkr-system".to_owned(),
            interval: Duration::from_secs(10),
            lease: Some(Duration::from_secs(15)),
            spool: None,
            limits: LocalLimits::default(),
            start_spread: Duration::ZERO,
            poll_wait: Duration::from_secs(30),
            stalled_after: Duration::from_secs(120),
            retry_first: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
        }
    }
}
