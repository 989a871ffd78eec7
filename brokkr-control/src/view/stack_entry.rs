//! One stack in the fleet view.

use std::collections::BTreeSet;
use std::sync::Arc;

use brokkr_core::model::{AgentId, DeploymentObject, Stack};

/// One stack in the fleet view. A tombstone stays while an agent may still hold the stack.
pub(crate) struct StackEntry {
    pub(crate) stack: Arc<Stack>,
    pub(crate) object: Option<Arc<DeploymentObject>>,
    /// Agents that have a pair with this stack.
    pub(crate) agents: BTreeSet<AgentId>,
}
