//! The reconciler, which runs passes over the stacks that are due.

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

/// Configuration of a [`Reconciler`].
#[derive(Debug, Clone)]
pub struct ReconcilerConfig {
    agent: AgentId,
    namespace: String,
    limits: LocalLimits,
    impersonates: bool,
}

impl ReconcilerConfig {
    /// Creates the configuration for an agent, with its inventories in `namespace`. The namespace must exist.
    pub fn new(agent: AgentId, namespace: impl Into<String>) -> Self {
        Self { agent, namespace: namespace.into(), limits: LocalLimits::default(), impersonates: false }
    }

    /// Limits the objects that the reconciler may manage. Default: no limits beyond its rights in the cluster. It reports
    /// other objects as problems and does not write them.
    #[must_use]
    pub fn limits(mut self, limits: LocalLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets whether the reconciler writes the objects of each generator, except the system generator, as the user and group
    /// [`generator_user`](crate::generator_user). Default: false. The cluster then also checks each write with the rights
    /// of the generator, and generators with a grant that restricts them may deploy RBAC.
    #[must_use]
    pub fn impersonate(mut self, impersonates: bool) -> Self {
        self.impersonates = impersonates;
        self
    }
}

/// The default [`Applier`]: reconciles a Kubernetes API with the desired state.
#[derive(Debug)]
pub struct Reconciler {
    pub(crate) shared: Shared,
}

impl Reconciler {
    /// Creates a reconciler for a cluster. Sends no request.
    ///
    /// ```
    /// use brokkr_core::model::AgentId;
    /// use brokkr_reconcile::cluster::MemoryCluster;
    /// use brokkr_reconcile::{Applier as _, Desired, Reconciler, ReconcilerConfig};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let config = ReconcilerConfig::new(AgentId::generate(), "default");
    /// let reconciler = Reconciler::new(MemoryCluster::new(), config);
    /// let outcomes = reconciler.reconcile(&Desired::default(), &Default::default()).await.unwrap();
    /// assert!(outcomes.is_empty());
    /// # });
    /// ```
    pub fn new(cluster: impl IntoCluster, config: ReconcilerConfig) -> Self {
        let shared = Shared {
            cluster: cluster.into_cluster(),
            agent: config.agent,
            manager: field_manager(config.agent),
            keeper: Keeper::new(config.agent, config.namespace),
            limits: config.limits,
            impersonates: config.impersonates,
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
