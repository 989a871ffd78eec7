//! How an agent behaves.

use std::path::PathBuf;
use std::time::Duration;

use brokkr_reconcile::LocalLimits;

/// How an agent behaves.
///
/// ```
/// use std::time::Duration;
/// use brokkr_agent_runtime::AgentConfig;
///
/// let config = AgentConfig::default().namespace("platform").interval(Duration::from_secs(30));
/// ```
#[derive(Debug, Clone)]
pub struct AgentConfig {
    pub(crate) namespace: String,
    pub(crate) interval: Duration,
    pub(crate) lease: Option<Duration>,
    pub(crate) spool: Option<PathBuf>,
    pub(crate) limits: LocalLimits,
    pub(crate) start_spread: Duration,
    pub(crate) poll_wait: Duration,
    pub(crate) stalled_after: Duration,
    pub(crate) retry_first: Duration,
    pub(crate) retry_max: Duration,
}

impl AgentConfig {
    /// Default of [`namespace`](Self::namespace).
    pub const NAMESPACE: &'static str = "brokkr-system";
    /// Default of [`interval`](Self::interval).
    pub const INTERVAL: Duration = Duration::from_secs(10);
    /// Default of [`lease`](Self::lease).
    pub const LEASE: Duration = Duration::from_secs(15);
    /// Default of [`start_spread`](Self::start_spread).
    pub const START_SPREAD: Duration = Duration::ZERO;

    /// The namespace of the agent's inventories, lease and watermark. Default: [`NAMESPACE`](Self::NAMESPACE). The agent creates it
    /// if it is missing and the agent's rights allow that. An agent that changes its namespace no longer knows what it holds.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The time between two comparisons of everything held with the cluster. Default: [`INTERVAL`](Self::INTERVAL); useful from a
    /// second to an hour. The agent sees drift at once where its rights allow a watch; elsewhere drift lasts up to this long.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The duration of the leader's Lease, in whole seconds. Default: [`LEASE`](Self::LEASE). After a leader dies another replica
    /// takes over this much later. `None` for an agent that certainly runs once: it works without a Lease, and two such processes
    /// would both write.
    #[must_use]
    pub fn lease(mut self, lease: impl Into<Option<Duration>>) -> Self {
        self.lease = lease.into();
        self
    }

    /// A folder that keeps events which the broker has not acknowledged. Default: none, events are in memory and a restart while
    /// the broker is away loses them.
    #[must_use]
    pub fn spool(mut self, folder: impl Into<Option<PathBuf>>) -> Self {
        self.spool = folder.into();
        self
    }

    /// What the agent may touch. Default: whatever its rights in the cluster allow. The broker cannot widen it.
    #[must_use]
    pub fn limits(mut self, limits: LocalLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The upper bound of a random delay before the first poll. Default: [`START_SPREAD`](Self::START_SPREAD), none. Spreads the load
    /// of many agents that start together.
    #[must_use]
    pub fn start_spread(mut self, spread: Duration) -> Self {
        self.start_spread = spread;
        self
    }

    /// How long the broker may keep a poll open while nothing changes. Default: 30 s; brokers cap it. Shorter polls mean more
    /// requests, not faster updates.
    #[must_use]
    pub fn poll_wait(mut self, wait: Duration) -> Self {
        self.poll_wait = wait;
        self
    }

    /// How long a stack may wait for one thing before its condition `Stalled` is true. Default: 2 min.
    #[must_use]
    pub fn stalled_after(mut self, after: Duration) -> Self {
        self.stalled_after = after;
        self
    }

    /// The first pause after a failure, and the longest: each further failure doubles the pause. Default: 1 s and 30 s.
    #[must_use]
    pub fn retry(mut self, first: Duration, max: Duration) -> Self {
        self.retry_first = first;
        self.retry_max = max;
        self
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            namespace: Self::NAMESPACE.to_owned(),
            interval: Self::INTERVAL,
            lease: Some(Self::LEASE),
            spool: None,
            limits: LocalLimits::default(),
            start_spread: Self::START_SPREAD,
            poll_wait: Duration::from_secs(30),
            stalled_after: Duration::from_secs(120),
            retry_first: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
        }
    }
}
