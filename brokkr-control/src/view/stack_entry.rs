//! One stack in the fleet view.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brokkr_core::model::{AgentId, DeploymentObject, EnvironmentId, FrozenRevision, Pin, Stack, StackRelease};

/// One stack in the fleet view. A tombstone stays while an agent may still hold the stack.
pub(crate) struct StackEntry {
    pub(crate) stack: Arc<Stack>,
    /// The newest deployment object.
    pub(crate) object: Option<Arc<DeploymentObject>>,
    /// The part of it that decides what agents do.
    pub(crate) newest: Option<FrozenRevision>,
    /// Agents that have a pair with this stack.
    pub(crate) agents: BTreeSet<AgentId>,
    /// The releases by environment; `None`: on the agents without one.
    pub(crate) releases: BTreeMap<Option<EnvironmentId>, Arc<StackRelease>>,
    pub(crate) pins: BTreeMap<AgentId, Arc<Pin>>,
}

impl StackEntry {
    pub(crate) fn new(stack: Arc<Stack>) -> Self {
        Self {
            stack,
            object: None,
            newest: None,
            agents: BTreeSet::new(),
            releases: BTreeMap::new(),
            pins: BTreeMap::new(),
        }
    }

    /// Sets the newest deployment object, unless the present one is newer.
    pub(crate) fn publish(&mut self, object: DeploymentObject) {
        if self.object.as_ref().is_some_and(|newest| newest.revision >= object.revision) {
            return;
        }
        self.newest = Some(FrozenRevision::from(&object));
        self.object = Some(Arc::new(object));
    }

    pub(crate) fn fold_release(&mut self, release: StackRelease) {
        if release.deleted_at.is_some() {
            self.releases.remove(&release.environment_id);
        } else {
            self.releases.insert(release.environment_id, Arc::new(release));
        }
    }

    pub(crate) fn fold_pin(&mut self, pin: Pin) {
        if pin.deleted_at.is_some() {
            self.pins.remove(&pin.agent_id);
        } else {
            self.pins.insert(pin.agent_id, Arc::new(pin));
        }
    }
}
