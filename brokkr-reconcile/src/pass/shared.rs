//! State that all passes of a reconciler share.

use std::collections::BTreeSet;
use std::sync::Arc;

use brokkr_core::model::{AgentId, GeneratorId};

use crate::applier::{ApplierError, DesiredStack, Goal};
use crate::cluster::{ApiKind, Cluster, Discovery, ImpersonatedUser};
use crate::context::bookkeeping::Bookkeeping;
use crate::desired::prepare::{Belonging, PreparedSet, prepare};
use crate::limits::LocalLimits;
use crate::observed::job_ends::{JobEnds, is_job};
use crate::observed::watches::Watches;
use crate::ownership::inventory::cache::Slots;
use crate::ownership::inventory::{Keeper, Owner};
use crate::pass::memory::{Memory, default_namespace};

/// The cluster, the identity of the agent, and the caches between passes.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) agent: AgentId,
    pub(crate) manager: String,
    pub(crate) keeper: Keeper,
    pub(crate) limits: LocalLimits,
    /// Whether the agent writes the objects of generators with the rights of each generator.
    pub(crate) impersonates: bool,
    pub(crate) slots: Slots,
    pub(crate) books: Bookkeeping,
    pub(crate) job_ends: JobEnds,
    pub(crate) watches: Watches,
    pub(crate) memory: tokio::sync::Mutex<Memory>,
}

impl Shared {
    /// Reads the inventories that are not cached.
    pub(crate) async fn read_inventories(&self) -> Result<(), ApplierError> {
        if !self.slots.must_read() {
            return Ok(());
        }
        let read = self.keeper.load(&*self.cluster).await?;
        let mut claims = self.books.claims();
        self.slots.fill(read, |inventory| claims.set_held(inventory));
        Ok(())
    }

    /// Returns the cluster with the identity that writes the objects of a generator. `None`: the agent's own.
    pub(crate) fn writer(&self, owner: Option<&Owner>) -> Option<Arc<dyn Cluster>> {
        let owner = owner.filter(|it| self.impersonates && it.generator != GeneratorId::SYSTEM)?;
        Some(self.cluster.clone().impersonate(&ImpersonatedUser::generator(&owner.name)))
    }

    /// Resolves the manifests of a stack with the served kinds. `None` if the agent does not apply the stack.
    pub(crate) fn prepare(&self, stack: &DesiredStack, discovery: &Discovery) -> Option<Arc<PreparedSet>> {
        let Goal::Apply { manifests, .. } = &stack.goal else {
            return None;
        };
        let applyset = self.keeper.applyset(stack.stack_id);
        let default_namespace = default_namespace(stack);
        let belonging = Belonging {
            agent: self.agent,
            stack: stack.stack_id,
            applyset: &applyset,
            default_namespace,
            limits: &self.limits,
            impersonates: self.impersonates,
            tenant: &stack.tenant,
            ignore: &stack.policies.ignore,
        };
        Some(Arc::new(prepare(manifests, belonging, discovery)))
    }

    /// Like [`prepare`](Self::prepare), but cached in `memory`.
    pub(crate) fn prepared(
        &self,
        memory: &mut Memory,
        stack: &DesiredStack,
        discovery: &Arc<Discovery>,
    ) -> Option<Arc<PreparedSet>> {
        memory.prepared(stack, discovery, || self.prepare(stack, discovery))
    }

    /// Watches the kinds of all held objects.
    pub(crate) fn watch_what_is_held(&self, discovery: &Discovery) {
        let kinds = self.slots.kinds();
        let served = kinds.iter().filter_map(|(group, kind)| discovery.preferred(group, kind));
        self.watches.want(self.places(served), self.slots.is_anything_out(), &self.slots);
    }

    /// Watches Jobs before the first one is created: a Job may end and be deleted within the pass that creates it.
    pub(crate) fn watch_jobs_to_come<'p>(
        &self,
        mut sets: impl Iterator<Item = &'p PreparedSet>,
        discovery: &Discovery,
    ) {
        if sets.any(|set| set.ready.iter().any(|it| is_job(&it.object))) {
            let jobs = discovery.preferred("batch", "Job");
            self.watches.want(self.places(jobs.into_iter()), true, &self.slots);
        }
    }

    fn places<'k>(&self, kinds: impl Iterator<Item = &'k ApiKind>) -> BTreeSet<(ApiKind, Option<String>)> {
        let listable = kinds.filter(|kind| kind.listable);
        let places = listable.flat_map(|kind| {
            let places = self.limits.places(kind.namespaced).into_iter();
            places.map(|place| (kind.clone(), place.map(str::to_owned)))
        });
        places.collect()
    }
}
