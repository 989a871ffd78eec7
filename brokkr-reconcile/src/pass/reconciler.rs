//! The reconciler: passes over what is due, given everything that is desired.

use std::collections::BTreeSet;

use async_trait::async_trait;
use brokkr_core::model::{AgentId, StackId};

use crate::applier::{Applier, ApplierError, Desired, HeldStack};
use crate::cluster::IntoCluster;
use crate::context::bookkeeping::Bookkeeping;
use crate::limits::LocalLimits;
use crate::observed::job_ends::JobEnds;
use crate::observed::watches::Watches;
use crate::outcome::stack_outcome::StackOutcome;
use crate::ownership::inventory::Keeper;
use crate::ownership::inventory::cache::Slots;
use crate::ownership::labels::field_manager;
use crate::pass::Pass;
use crate::pass::shared::Shared;

/// Whose objects a reconciler manages, where it keeps its inventories, and what it may touch.
#[derive(Debug, Clone)]
pub struct ReconcilerConfig {
    agent: AgentId,
    namespace: String,
    limits: LocalLimits,
}

impl ReconcilerConfig {
    /// A reconciler of this agent's objects, with its inventories in `namespace`, which must exist.
    pub fn new(agent: AgentId, namespace: impl Into<String>) -> Self {
        Self { agent, namespace: namespace.into(), limits: LocalLimits::default() }
    }

    /// What the reconciler may touch. Default: whatever its rights in the cluster allow. It reports other objects and leaves them
    /// alone.
    #[must_use]
    pub fn limits(mut self, limits: LocalLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// Makes a cluster hold what is desired. See [`Applier`] for the contract.
#[derive(Debug)]
pub struct Reconciler {
    pub(crate) shared: Shared,
}

impl Reconciler {
    /// A reconciler on this cluster.
    pub fn new(cluster: impl IntoCluster, config: ReconcilerConfig) -> Self {
        let shared = Shared {
            cluster: cluster.into_cluster(),
            agent: config.agent,
            manager: field_manager(config.agent),
            keeper: Keeper::new(config.agent, config.namespace),
            limits: config.limits,
            slots: Slots::default(),
            books: Bookkeeping::default(),
            job_ends: JobEnds::default(),
            watches: Watches::new(),
            memory: tokio::sync::Mutex::default(),
        };
        Self { shared }
    }
}

#[async_trait]
impl Applier for Reconciler {
    async fn held(&self) -> Result<Vec<HeldStack>, ApplierError> {
        self.shared.read_inventories().await?;
        let held = |(stack_id, objects)| HeldStack { stack_id, objects };
        Ok(self.shared.slots.held().into_iter().map(held).collect())
    }

    async fn changed(&self) -> BTreeSet<StackId> {
        let Shared { watches, cluster, agent, manager, slots, job_ends, .. } = &self.shared;
        watches.next(cluster, *agent, manager, slots, job_ends).await
    }

    async fn reconcile(&self, desired: &Desired, due: &BTreeSet<StackId>) -> Result<Vec<StackOutcome>, ApplierError> {
        Pass::begin(&self.shared, desired, due).await?.run().await
    }
}
