//! What an agent can be started on.

use std::sync::Arc;

use brokkr_reconcile::cluster::{Fenceable, MemoryCluster};

/// What an agent can be started on.
pub(crate) trait AgentCluster {
    /// As the agent sees it.
    fn for_agent(&self) -> Arc<dyn Fenceable>;
}

impl AgentCluster for MemoryCluster {
    fn for_agent(&self) -> Arc<dyn Fenceable> {
        Arc::new(self.clone())
    }
}
