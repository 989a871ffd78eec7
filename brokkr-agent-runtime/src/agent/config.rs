//! Configuration of an agent.

use std::path::PathBuf;
use std::time::Duration;

use brokkr_core::model::AgentId;
use brokkr_reconcile::{LocalLimits, ReconcilerConfig};

/// Configuration of an [`Agent`](crate::Agent).
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
    pub(crate) impersonates: bool,
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

    /// Sets the namespace of the agent's inventories, Lease and watermark. Default: [`NAMESPACE`](Self::NAMESPACE).
    ///
    /// The agent creates the namespace if it does not exist and the agent has the right. After a change of the namespace
    /// the agent no longer finds the inventories of the objects that it holds.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the interval between two full comparisons with the cluster. Default: [`INTERVAL`](Self::INTERVAL). Useful
    /// range: one second to one hour.
    ///
    /// The agent sees drift at once if it has the right to watch; otherwise drift lasts up to one interval.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the duration of the leader's Lease, in whole seconds. Default: [`LEASE`](Self::LEASE). If a leader dies,
    /// another replica takes over after this time.
    ///
    /// Use `None` only if the agent runs exactly once: without a Lease, two processes of one agent both write.
    #[must_use]
    pub fn lease(mut self, lease: impl Into<Option<Duration>>) -> Self {
        self.lease = lease.into();
        self
    }

    /// Sets the folder for events that the broker has not acknowledged. Default: none, so events stay in memory and a
    /// restart during an outage of the broker loses them.
    #[must_use]
    pub fn spool(mut self, folder: impl Into<Option<PathBuf>>) -> Self {
        self.spool = folder.into();
        self
    }

    /// Limits the objects that the agent may manage. Default: no limits beyond the agent's rights in the cluster. The
    /// broker cannot widen them.
    #[must_use]
    pub fn limits(mut self, limits: LocalLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets whether the agent writes the objects of each generator, except those of the system generator, as the user and
    /// group [`generator_user`](brokkr_reconcile::generator_user). Default: false, so that it writes all objects as itself.
    ///
    /// The agent needs the right to impersonate these users and groups, and each generator the rights to write its objects;
    /// [`rbac`](crate::rbac::rbac) prints both. Generators with a grant that restricts them can deploy RBAC only to agents that
    /// impersonate.
    #[must_use]
    pub fn impersonate(mut self, impersonates: bool) -> Self {
        self.impersonates = impersonates;
        self
    }

    /// Sets the upper bound of a random delay before the first poll. Default: [`START_SPREAD`](Self::START_SPREAD), no
    /// delay. A delay spreads the load of many agents that start together.
    #[must_use]
    pub fn start_spread(mut self, spread: Duration) -> Self {
        self.start_spread = spread;
        self
    }

    /// Sets how long the broker may hold a poll open while nothing changes. Default: 30 s; the broker caps it. A shorter
    /// wait causes more requests, not faster updates.
    #[must_use]
    pub fn poll_wait(mut self, wait: Duration) -> Self {
        self.poll_wait = wait;
        self
    }

    /// Sets how long a stack may wait for the same problem before its condition `Stalled` becomes true. Default: 2 min.
    #[must_use]
    pub fn stalled_after(mut self, after: Duration) -> Self {
        self.stalled_after = after;
        self
    }

    /// Sets the first and the longest pause after failures in a row. Each failure doubles the pause. Default: 1 s and 30
    /// s.
    #[must_use]
    pub fn retry(mut self, first: Duration, max: Duration) -> Self {
        self.retry_first = first;
        self.retry_max = max;
        self
    }
}

impl AgentConfig {
    /// Returns the configuration of the agent's reconciler.
    pub(crate) fn reconciler(&self, agent: AgentId) -> ReconcilerConfig {
        ReconcilerConfig::new(agent, &self.namespace).limits(self.limits.clone()).impersonate(self.impersonates)
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
            impersonates: false,
            start_spread: Self::START_SPREAD,
            poll_wait: Duration::from_secs(30),
            stalled_after: Duration::from_secs(120),
            retry_first: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
        }
    }
}
