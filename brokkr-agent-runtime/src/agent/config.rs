//! How an agent behaves.

use std::time::Duration;

/// How an agent behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AgentConfig {
    /// Namespace for what the agent keeps in the cluster; made if it is missing and that is allowed.
    pub namespace: String,
    /// How often everything that is held is compared with the cluster.
    pub interval: Duration,
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
            poll_wait: Duration::from_secs(30),
            stalled_after: Duration::from_secs(120),
            retry_first: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
        }
    }
}
