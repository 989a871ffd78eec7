//! The context of work on a stack: cluster, agent, discovery, and caches.

pub(crate) mod bookkeeping;
pub(crate) mod correction_backoff;
pub(crate) mod settling;

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard};

use brokkr_core::model::{AgentId, ObjectRef};

use crate::cluster::{Cluster, ClusterResult, Discovery};
use crate::context::bookkeeping::Bookkeeping;
use crate::context::correction_backoff::CorrectionBackoff;
use crate::limits::LocalLimits;
use crate::observed::job_ends::JobEnds;
use crate::observed::observer::Observer;
use crate::order::is_namespace;
use crate::ownership::claims::Claims;
use crate::ownership::inventory::{Inventory, Keeper};

/// The context of work on a stack.
pub(crate) struct PassContext<'a> {
    /// The cluster with the agent's own identity.
    pub(crate) cluster: &'a dyn Cluster,
    /// The cluster with the identity that writes the stack's objects.
    pub(crate) writer: &'a dyn Cluster,
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
    /// Returns the context for a stack whose objects this identity writes; `None`: the agent's own.
    pub(crate) fn written_by<'b>(&'b self, writer: Option<&'b Arc<dyn Cluster>>) -> PassContext<'b> {
        let writer = match writer {
            Some(writer) => &**writer,
            None => self.cluster,
        };
        PassContext { writer, ..*self }
    }

    /// Returns the cluster with the identity that writes an object of the stack. The agent writes Namespaces itself: the right
    /// to create them cannot be limited to names.
    pub(crate) fn writer_of(&self, object: &ObjectRef) -> &dyn Cluster {
        if is_namespace(object) { self.cluster } else { self.writer }
    }

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
