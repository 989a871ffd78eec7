//! A pass: applies, assesses and prunes the stacks that are due.

mod held;
pub(crate) mod memory;
pub(crate) mod readiness;
pub(crate) mod reconciler;
pub(crate) mod referred;
pub(crate) mod setup;
pub(crate) mod shared;
pub(crate) mod stack_pass;
pub(crate) mod waits;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use brokkr_core::model::{Deletion, StackId};
use brokkr_core::protocol::Tenant;
use futures::FutureExt as _;

use crate::applier::{ApplierError, Desired, DesiredStack, Goal};
use crate::cluster::Discovery;
use crate::observed::observer::concurrently;
use crate::outcome::stack_outcome::{Progress, StackOutcome};
use crate::ownership::inventory::cache::Taken;
use crate::ownership::inventory::{Inventory, Owner};
use crate::ownership::objects::Objects;
use crate::pass::memory::Memory;
use crate::pass::setup::PassSetup;
use crate::pass::shared::Shared;
use crate::pass::stack_pass::StackPass;

/// Maximum number of stacks in progress at the same time.
const CONCURRENT_STACKS: usize = 8;

/// One pass over the stacks that are due. Each phase ends for all stacks before the next one starts.
pub(crate) struct Pass<'a> {
    shared: &'a Shared,
    desired: &'a Desired,
    setup: PassSetup<'a>,
    /// Discovery at the start of the pass.
    discovery: Arc<Discovery>,
    /// The newest discovery.
    latest: Arc<Discovery>,
    stacks: Vec<StackPass<'a>>,
    /// The inventories of the due stacks that stay as they are.
    held: Vec<Inventory>,
    /// The inventories of the stacks in this pass. No other pass uses them meanwhile.
    taken: Taken<'a>,
}

impl<'a> Pass<'a> {
    /// Reads inventories and discovery, prepares the manifests, and takes the inventories of the due stacks. Skips stacks
    /// that another pass works on.
    pub(crate) async fn begin(
        shared: &'a Shared,
        desired: &'a Desired,
        due: &BTreeSet<StackId>,
    ) -> Result<Self, ApplierError> {
        let is_due = |stack: &&DesiredStack| due.contains(&stack.stack_id) && !matches!(stack.goal, Goal::Keep);
        let due: Vec<&DesiredStack> = desired.stacks.iter().filter(is_due).collect();
        let mut memory = shared.memory.lock().await;
        shared.read_inventories().await?;
        let discovery = Self::discover(shared, &mut memory, &due).await?;
        let setup = PassSetup::new(shared, desired, |stack| shared.prepared(&mut memory, stack, &discovery));
        shared.books.claims().set_wants(setup.wants(), setup.tenants());
        let sets = due.iter().filter_map(|stack| setup.prepared(stack.stack_id));
        shared.watch_jobs_to_come(sets.map(|set| &**set), &discovery);
        let (taken, stacks, held) = Self::take(shared, desired, &mut memory, &setup, due);
        let latest = discovery.clone();
        Ok(Self { shared, desired, setup, discovery, latest, stacks, held, taken })
    }

    /// Returns the discovery. Refreshes it if a due stack contains a kind that is not served.
    async fn discover(
        shared: &Shared,
        memory: &mut Memory,
        due: &[&DesiredStack],
    ) -> Result<Arc<Discovery>, ApplierError> {
        let discovery = memory.discovery(&*shared.cluster, false).await?;
        let mut sets = due.iter().filter_map(|stack| shared.prepared(memory, stack, &discovery));
        if sets.any(|set| !set.unserved.is_empty()) {
            return memory.discovery(&*shared.cluster, true).await;
        }
        Ok(discovery)
    }

    /// Takes the inventories of the stacks, and records which stacks wait for others.
    fn take(
        shared: &'a Shared,
        desired: &Desired,
        memory: &mut Memory,
        setup: &PassSetup<'a>,
        due: Vec<&'a DesiredStack>,
    ) -> (Taken<'a>, Vec<StackPass<'a>>, Vec<Inventory>) {
        let mut taken = shared.slots.take(due.iter().map(|stack| stack.stack_id));
        let (mut stacks, mut held) = (Vec::new(), Vec::new());
        for stack in due {
            let Some(mut inventory) = taken.inventories.remove(&stack.stack_id) else { continue };
            if matches!(stack.goal, Goal::Hold) {
                held.push(inventory);
                continue;
            }
            let Tenant { generator_id, name, .. } = &*stack.tenant;
            if !name.is_empty() {
                inventory.owner = Some(Owner { generator: *generator_id, name: name.clone() });
            }
            let writer = shared.writer(inventory.owner.as_ref());
            let deleted_uids = memory.deleted_uids.remove(&stack.stack_id).unwrap_or_default();
            let mut stack = StackPass::new(stack, inventory, deleted_uids, setup.prepared(stack.stack_id).cloned());
            stack.writer = writer;
            stack.held_back = memory.waits.held_back(&stack, desired);
            stacks.push(stack);
        }
        (taken, stacks, held)
    }

    /// Runs all phases.
    pub(crate) async fn run(mut self) -> Result<Vec<StackOutcome>, ApplierError> {
        let held = self.observe_held().await;
        // Applying everything before pruning keeps objects in place that move between stacks.
        self.apply().await;
        self.establish().await?;
        self.follow_up().await;
        self.discover_before_pruning().await?;
        self.prune().await;
        self.prune_retained().await;
        Ok(held.into_iter().chain(self.finish().await).collect())
    }

    /// Looks at the stacks that stay as they are.
    async fn observe_held(&mut self) -> Vec<StackOutcome> {
        let context = self.setup.context(&self.shared.books, &self.discovery);
        let observed = self.held.iter().map(|inventory| context.observe_held(inventory).boxed());
        let outcomes = concurrently(observed, CONCURRENT_STACKS).await;
        std::mem::take(&mut self.held).into_iter().for_each(|inventory| self.taken.put_back(inventory));
        outcomes
    }

    /// Applies the stacks that wait for no other stack.
    async fn apply(&mut self) {
        let context = self.setup.context(&self.shared.books, &self.discovery);
        concurrently(self.stacks.iter_mut().map(|stack| stack.apply(&context).boxed()), CONCURRENT_STACKS).await;
    }

    /// Waits until new custom resource definitions are established, then applies the objects of their kinds.
    async fn establish(&mut self) -> Result<(), ApplierError> {
        if !self.stacks.iter().any(|stack| stack.applying.defined) {
            return Ok(());
        }
        let context = self.setup.context(&self.shared.books, &self.discovery);
        let defining = self.stacks.iter().filter(|stack| stack.applying.defined);
        let defining = defining.filter_map(|stack| stack.prepared.as_deref());
        concurrently(defining.map(|set| context.established(&set.ready).boxed()), CONCURRENT_STACKS).await;
        let mut memory = self.shared.memory.lock().await;
        self.latest = memory.discovery(&*self.shared.cluster, true).await?;
        let mut before = Vec::new();
        for stack in &mut self.stacks {
            let prepared = self.shared.prepared(&mut memory, stack.desired, &self.latest);
            before.push(stack.replace_prepared(prepared));
        }
        drop(memory);
        let context = self.setup.context(&self.shared.books, &self.latest);
        let rounds = self.stacks.iter_mut().zip(&before).filter_map(|(stack, before)| {
            let (before, context) = (before.as_deref()?, &context);
            Some(async move { stack.apply_newly_served(context, before).await }.boxed())
        });
        concurrently(rounds, CONCURRENT_STACKS).await;
        Ok(())
    }

    /// Judges the applied stacks, and applies the stacks that waited for them, until no further stack is ready. So a
    /// chain of dependencies may complete in one pass.
    async fn follow_up(&mut self) {
        loop {
            self.assess().await;
            let freed = self.free().await;
            if freed.is_empty() {
                return;
            }
            let context = self.setup.context(&self.shared.books, &self.discovery);
            let freed = self.stacks.iter_mut().filter(|stack| freed.contains(&stack.desired.stack_id));
            concurrently(freed.map(|stack| stack.apply(&context).boxed()), CONCURRENT_STACKS).await;
        }
    }

    /// Completes the health of objects that refer to others.
    async fn assess(&mut self) {
        let context = self.setup.context(&self.shared.books, &self.discovery);
        for stack in self.stacks.iter_mut().filter(|stack| stack.held_back.is_none() && !stack.is_judged) {
            context.judge_by_others(&mut stack.applying.health).await;
            stack.is_judged = true;
        }
    }

    /// Records which stacks are ready. Returns the stacks that waited for them.
    async fn free(&mut self) -> BTreeSet<StackId> {
        let mut memory = self.shared.memory.lock().await;
        self.stacks.iter_mut().for_each(|stack| memory.waits.assess(stack, Instant::now()));
        let mut freed = BTreeSet::new();
        for stack in self.stacks.iter_mut().filter(|stack| stack.held_back.is_some()) {
            stack.held_back = memory.waits.held_back(stack, self.desired);
            if stack.held_back.is_none() {
                freed.insert(stack.desired.stack_id);
            }
        }
        freed
    }

    /// Refreshes discovery before pruning, because whether a Namespace or a definition is empty depends on the kinds
    /// served now.
    async fn discover_before_pruning(&mut self) -> Result<(), ApplierError> {
        let mut memory = self.shared.memory.lock().await;
        if self.stacks.iter().any(StackPass::loses_foundation) || self.shared.slots.has_retained() {
            self.latest = memory.discovery(&*self.shared.cluster, true).await?;
        }
        Ok(())
    }

    /// Removes objects that are no longer desired.
    async fn prune(&mut self) {
        let context = self.setup.context(&self.shared.books, &self.latest);
        let Desired { may_remove, complete, .. } = *self.desired;
        let prunings = self.stacks.iter_mut().map(|stack| stack.prune(&context, may_remove, complete).boxed());
        concurrently(prunings, CONCURRENT_STACKS).await;
    }

    /// Deletes retained objects that have become empty, of stacks without an entry.
    async fn prune_retained(&self) {
        let may_remove = self.desired.may_remove && self.desired.complete;
        if !may_remove || !self.shared.memory.lock().await.retained_is_due() {
            return;
        }
        let context = self.setup.context(&self.shared.books, &self.latest);
        let mut taken = self.shared.slots.take_retained(&self.desired_ids());
        while let Some((stack, mut inventory)) = taken.inventories.pop_first() {
            let mut deleted_uids = self.shared.memory.lock().await.deleted_uids.remove(&stack).unwrap_or_default();
            let writer = self.shared.writer(inventory.owner.as_ref());
            let context = context.written_by(writer.as_ref());
            let pruned =
                context.prune(Deletion::Delete, &Objects::new(), true, &mut inventory, &mut deleted_uids).await;
            if pruned.is_ok() {
                if !inventory.entries.is_empty() {
                    self.shared.memory.lock().await.deleted_uids.insert(stack, deleted_uids);
                }
                taken.put_back(inventory);
            }
        }
    }

    /// Returns the inventories, and the outcome of each stack.
    async fn finish(mut self) -> Vec<StackOutcome> {
        let desired = self.desired_ids();
        let mut outcomes: Vec<StackOutcome> = Vec::new();
        let mut memory = self.shared.memory.lock().await;
        for stack in self.stacks {
            let is_trusted = stack.broken.is_none();
            let (inventory, deleted_uids, outcome) = stack.finish();
            let is_being_removed = outcome.removal && outcome.progress != Progress::Done;
            if !inventory.entries.is_empty() && (is_being_removed || inventory.is_retained_only()) {
                memory.deleted_uids.insert(inventory.stack, deleted_uids);
            }
            if is_trusted {
                self.taken.put_back(inventory);
            }
            outcomes.push(outcome);
        }
        let now = Instant::now();
        if outcomes.iter().any(|outcome| outcome.progress != Progress::Done) {
            memory.trouble_at = Some(now);
        }
        memory.keep_only(&desired, &self.shared.slots.held_or_retained());
        self.shared.books.contention().forget_old(now);
        self.shared.job_ends.forget_old(now);
        self.shared.watch_what_is_held(&self.latest);
        outcomes
    }

    fn desired_ids(&self) -> BTreeSet<StackId> {
        self.desired.stacks.iter().map(|stack| stack.stack_id).collect()
    }
}
