//! The context of work on a stack: cluster, agent, discovery, and caches.

pub(crate) mod bookkeeping;
pub(crate) mod correction_backoff;
pub(crate) mod settling;

use std::collections::BTreeSet;
use std::sync::MutexGuard;

use brokkr_core::model::{AgentId, ObjectRef};

use crate::cluster::{Cluster, ClusterResult, Discovery};
use crate::context::bookkeeping::Bookkeeping;
use crate::context::correction_backoff::CorrectionBackoff;
use crate::limits::LocalLimits;
use crate::observed::job_ends::JobEnds;
use crate::observed::observer::Observer;
use crate::ownership::claims::Claims;
use crate::ownership::inventory::{Inventory, Keeper};

/// The context of work on a stack.
pub(crate) struct PassContext<'a> {
    pub(crate) cluster: &'a dyn Cluster,
    pub(crate) agent: AgentId,
    pub(crate) manager: &'a str,
    pub(crate) keeper: &'a Keeper,
    pub(crate) observer: &'a Observer<'a>,
    pub(crate) limits: &'a LocalLimits,
    pub(crate) books: &'a Bookkeeping,
    pub(crate) job_ends: &'a JobEnds,
    pub(crate) discovery: &'a Discovery,
    /// Targets of all desired autoscalers.
    pub(crate) autoscaled: &'a BTreeSet<ObjectRef>,
}

impl PassContext<'_> {
    pub(crate) fn claims(&self) -> MutexGuard<'_, Claims> {
        self.books.claims()
    }

    pub(crate) fn contention(&self) -> MutexGuard<'_, CorrectionBackoff> {
        self.books.contention()
    }

    /// Writes the inventory, and publishes the held objects to other stacks.
    pub(crate) async fn save_inventory(&self, inventory: &mut Inventory) -> ClusterResult<()> {
        self.keeper.save(self.cluster, inventory).await?;
        self.claims().set_held(inventory);
        Ok(())
    }
}
