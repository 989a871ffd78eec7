//! The clusters on which tests start agents.

use std::sync::Arc;

use brokkr_reconcile::cluster::{Fenceable, MemoryCluster};

/// A cluster on which a test can start an agent.
pub(crate) trait AgentCluster {
    /// The cluster as the agent sees it.
    fn for_agent(&self) -> Arc<dyn Fenceable>;
}

impl AgentCluster for MemoryCluster {
    fn for_agent(&self) -> Arc<dyn Fenceable> {
        Arc::new(self.clone())
    }
}
