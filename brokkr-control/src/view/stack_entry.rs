//! What the view knows of a stack.

use std::collections::BTreeSet;
use std::sync::Arc;

use brokkr_core::model::{AgentId, DeploymentObject, Stack};

/// What the view knows of a stack. A tombstone stays as long as some agent may still hold it.
pub(crate) struct StackEntry {
    pub(crate) stack: Arc<Stack>,
    pub(crate) object: Option<Arc<DeploymentObject>>,
    /// Agents that have a pair with it.
    pub(crate) agents: BTreeSet<AgentId>,
}
