//! The reconciler: passes over what is due, given everything that is desired.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::{AgentId, Deletion, IgnoreRule, ObjectRef, StackId};
use futures::FutureExt as _;

use crate::applier::{Applier, ApplierError, Desired, DesiredStack, Goal, HeldStack};
use crate::apply::replicas::autoscaled;
use crate::cluster::{ApiKind, Cluster, Discovery};
use crate::context::Work;
use crate::context::contention::Fights;
use crate::context::settling::Settling;
use crate::desired::prepare::{Belonging, PreparedSet, prepare};
use crate::limits::LocalLimits;
use crate::observed::job_ends::{JobEnds, is_job};
use crate::observed::observer::{Observer, concurrently};
use crate::observed::watches::Watches;
use crate::order::is_foundation;
use crate::outcome::stack_outcome::StackOutcome;
use crate::ownership::claims::{Claims, Want};
use crate::ownership::inventory::cache::Slots;
use crate::ownership::inventory::{Inventory, Keeper};
use crate::ownership::labels::field_manager;
use crate::ownership::objects::Objects;
use crate::pass::stack_pass::Job;
use crate::pass::waits::Waits;

/// How old discovery may be when nothing suggests that it has changed.
const DISCOVERY_AGE: Duration = Duration::from_secs(300);
/// How old it may be when something did not succeed since: a kind may have come or gone.
const TROUBLED_AGE: Duration = Duration::from_secs(10);
/// How often what is retained is looked at again.
const RETAINED_INTERVAL: Duration = Duration::from_secs(5);
/// Stacks at the same time.
const STACKS: usize = 8;

/// Whose objects a reconciler manages, where it keeps its inventories, and what it may touch.
#[derive(Debug, Clone)]
pub struct ReconcilerConfig {
    /// The agent.
    pub agent: AgentId,
    /// The namespace of its inventories; it must exist.
    pub namespace: String,
    /// What it may touch.
    pub limits: LocalLimits,
}

/// Makes a cluster hold what is desired. See [`Applier`] for the contract.
#[derive(Debug)]
pub struct Reconciler {
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) agent: AgentId,
    pub(crate) manager: String,
    pub(crate) keeper: Keeper,
    pub(crate) limits: LocalLimits,
    slots: Slots,
    claims: Mutex<Claims>,
    fights: Mutex<Fights>,
    pub(crate) job_ends: JobEnds,
    settling: Settling,
    watches: Watches,
    memory: tokio::sync::Mutex<Memory>,
}

/// What is known from earlier passes. All of it can be read again.
#[derive(Debug, Default)]
struct Memory {
    discovery: Option<(Arc<Discovery>, Instant)>,
    /// When a pass last left something undone.
    trouble_at: Option<Instant>,
    prepared: HashMap<StackId, Cached>,
    /// UIDs of what was deleted, per stack, while its removal goes on.
    departed: HashMap<StackId, BTreeSet<String>>,
    retained_at: Option<Instant>,
    waits: Waits,
}

#[derive(Debug)]
struct Cached {
    manifests: Arc<ManifestSet>,
    discovery: Arc<Discovery>,
    namespace: String,
    ignore: Vec<IgnoreRule>,
    set: Arc<PreparedSet>,
}

impl Reconciler {
    /// A reconciler on this cluster.
    pub fn new(cluster: Arc<dyn Cluster>, config: ReconcilerConfig) -> Self {
        Self {
            cluster,
            agent: config.agent,
            manager: field_manager(config.agent),
            keeper: Keeper::new(config.agent, config.namespace),
            limits: config.limits,
            slots: Slots::default(),
            claims: Mutex::default(),
            fights: Mutex::default(),
            job_ends: JobEnds::default(),
            settling: Settling::default(),
            watches: Watches::new(),
            memory: tokio::sync::Mutex::default(),
        }
    }

    /// Reads the inventories that are not known, or not any more.
    async fn read_inventories(&self) -> Result<(), ApplierError> {
        if !self.slots.must_read() {
            return Ok(());
        }
        let read = self.keeper.load(&*self.cluster).await?;
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        self.slots.fill(read, |inventory| claims.set_held(inventory));
        Ok(())
    }

    async fn discovery(&self, memory: &mut Memory, afresh: bool) -> Result<Arc<Discovery>, ApplierError> {
        if let Some((discovery, at)) = &memory.discovery
            && !afresh
            && at.elapsed() < DISCOVERY_AGE
            && (at.elapsed() < TROUBLED_AGE || memory.trouble_at.is_none_or(|trouble| trouble < *at))
            && discovery.failed.is_empty()
        {
            return Ok(discovery.clone());
        }
        let discovery = self.cluster.discover().await.map_err(ApplierError::Discovery)?;
        // The same content keeps the same identity, so that what was prepared with it stays valid.
        let discovery = match memory.discovery.take() {
            Some((before, _)) if *before == discovery => before,
            _ => Arc::new(discovery),
        };
        memory.discovery = Some((discovery.clone(), Instant::now()));
        Ok(discovery)
    }

    /// The prepared manifests of a stack, made at most once per content and discovery.
    fn prepared(
        &self,
        memory: &mut Memory,
        stack: &DesiredStack,
        discovery: &Arc<Discovery>,
    ) -> Option<Arc<PreparedSet>> {
        let Goal::Apply { manifests, .. } = &stack.goal else {
            return None;
        };
        let namespace = &stack.policies.default_namespace;
        if let Some(cached) = memory.prepared.get(&stack.stack_id)
            && Arc::ptr_eq(&cached.manifests, manifests)
            && Arc::ptr_eq(&cached.discovery, discovery)
            && cached.namespace == *namespace
            && cached.ignore == stack.policies.ignore
        {
            return Some(cached.set.clone());
        }
        let set = self.prepare(stack, discovery)?;
        let cached = Cached {
            manifests: manifests.clone(),
            discovery: discovery.clone(),
            namespace: namespace.clone(),
            ignore: stack.policies.ignore.clone(),
            set: set.clone(),
        };
        memory.prepared.insert(stack.stack_id, cached);
        Some(set)
    }

    fn prepare(&self, stack: &DesiredStack, discovery: &Discovery) -> Option<Arc<PreparedSet>> {
        let Goal::Apply { manifests, .. } = &stack.goal else {
            return None;
        };
        let applyset = self.keeper.applyset(stack.stack_id);
        let default_namespace = &stack.policies.default_namespace;
        let belonging = Belonging {
            agent: self.agent,
            stack: stack.stack_id,
            applyset: &applyset,
            default_namespace,
            limits: &self.limits,
            ignore: &stack.policies.ignore,
        };
        Some(Arc::new(prepare(manifests, belonging, discovery)))
    }

    /// What is there and what is wanted, read afresh, for a plan.
    pub(crate) async fn look(
        &self,
        desired: &Desired,
    ) -> Result<(BTreeMap<StackId, Inventory>, Discovery, Prepared), ApplierError> {
        let inventories = self.keeper.load(&*self.cluster).await?;
        let discovery = self.cluster.discover().await.map_err(ApplierError::Discovery)?;
        let prepared =
            desired.stacks.iter().filter_map(|stack| Some((stack.stack_id, self.prepare(stack, &discovery)?)));
        let prepared = prepared.collect();
        Ok((inventories, discovery, prepared))
    }

    /// Deletes what was retained and has become empty, of stacks that have no entry any more.
    async fn prune_retained(&self, work: &Work<'_>, desired: &Desired) {
        {
            let mut memory = self.memory.lock().await;
            if !desired.may_remove
                || !desired.complete
                || memory.retained_at.is_some_and(|at| at.elapsed() < RETAINED_INTERVAL)
            {
                return;
            }
            memory.retained_at = Some(Instant::now());
        }
        let known: BTreeSet<StackId> = desired.stacks.iter().map(|stack| stack.stack_id).collect();
        let mut taken = self.slots.take_retained(&known);
        while let Some((stack, mut inventory)) = taken.inventories.pop_first() {
            let mut departed = self.memory.lock().await.departed.remove(&stack).unwrap_or_default();
            let pruned = work.prune(Deletion::Delete, &Objects::new(), true, &mut inventory, &mut departed).await;
            if pruned.is_ok() {
                if !inventory.entries.is_empty() {
                    self.memory.lock().await.departed.insert(stack, departed);
                }
                taken.put_back(inventory);
            }
        }
    }

    /// Watches the kinds of everything that is held.
    fn watch_what_is_held(&self, discovery: &Discovery) {
        let kinds = self.slots.kinds();
        let served = kinds.iter().filter_map(|(group, kind)| discovery.preferred(group, kind));
        self.watches.want(self.places(served), self.slots.is_anything_out(), &self.slots);
    }

    /// Watches Jobs before the first of them is created: one may end and be deleted within the pass that creates it.
    fn watch_jobs_to_come(&self, due: &[&DesiredStack], prepared: &Prepared, discovery: &Discovery) {
        let sets = due.iter().filter_map(|stack| prepared.get(&stack.stack_id));
        if sets.flat_map(|set| &set.ready).any(|it| is_job(&it.object)) {
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

/// The prepared manifests of each stack that is to be applied.
pub(crate) type Prepared = BTreeMap<StackId, Arc<PreparedSet>>;

/// What each stack wants, for deciding whose an object is.
pub(crate) fn wants(desired: &Desired, prepared: &Prepared) -> BTreeMap<StackId, Want> {
    let want = |stack: &DesiredStack| match &stack.goal {
        Goal::Apply { .. } => {
            Want::Objects(prepared.get(&stack.stack_id).map(|set| set.objects.clone()).unwrap_or_default())
        }
        Goal::Remove => Want::Nothing,
        Goal::Keep => Want::WhatIsHeld,
    };
    desired.stacks.iter().map(|stack| (stack.stack_id, want(stack))).collect()
}

#[async_trait]
impl Applier for Reconciler {
    async fn held(&self) -> Result<Vec<HeldStack>, ApplierError> {
        self.read_inventories().await?;
        let held = |(stack_id, objects)| HeldStack { stack_id, objects };
        Ok(self.slots.held().into_iter().map(held).collect())
    }

    async fn changed(&self) -> BTreeSet<StackId> {
        self.watches.next(&self.cluster, self.agent, &self.manager, &self.slots, &self.job_ends).await
    }

    async fn reconcile(&self, desired: &Desired, due: &BTreeSet<StackId>) -> Result<Vec<StackOutcome>, ApplierError> {
        let due: Vec<&DesiredStack> = desired
            .stacks
            .iter()
            .filter(|stack| due.contains(&stack.stack_id) && !matches!(stack.goal, Goal::Keep))
            .collect();
        let mut memory = self.memory.lock().await;
        self.read_inventories().await?;
        let mut discovery = self.discovery(&mut memory, false).await?;
        let lacks = |memory: &mut Memory, discovery: &Arc<Discovery>| {
            due.iter().any(|stack| self.prepared(memory, stack, discovery).is_some_and(|set| !set.unserved.is_empty()))
        };
        if lacks(&mut memory, &discovery) {
            discovery = self.discovery(&mut memory, true).await?;
        }
        let prepared: Prepared = desired
            .stacks
            .iter()
            .filter_map(|stack| Some((stack.stack_id, self.prepared(&mut memory, stack, &discovery)?)))
            .collect();
        self.claims.lock().unwrap_or_else(PoisonError::into_inner).set_wants(wants(desired, &prepared));
        self.watch_jobs_to_come(&due, &prepared, &discovery);
        let observer = Observer::new(&*self.cluster, self.agent, &self.manager, &self.limits)
            .ignoring(prepared.values().flat_map(|set| &set.ready));
        let autoscaled: BTreeSet<ObjectRef> = prepared.values().flat_map(|set| autoscaled(&set.ready)).collect();
        let work = |discovery| Work {
            cluster: &*self.cluster,
            agent: self.agent,
            manager: &self.manager,
            keeper: &self.keeper,
            observer: &observer,
            limits: &self.limits,
            claims: &self.claims,
            fights: &self.fights,
            job_ends: &self.job_ends,
            settling: &self.settling,
            discovery,
            autoscaled: &autoscaled,
        };
        let goal_of = |id| desired.stacks.iter().find(|it| it.stack_id == id).map(|it| it.goal.clone());
        let mut taken = self.slots.take(due.iter().map(|stack| stack.stack_id));
        let mut jobs: Vec<Job<'_>> = Vec::new();
        for stack in due {
            let Some(inventory) = taken.inventories.remove(&stack.stack_id) else { continue };
            let departed = memory.departed.remove(&stack.stack_id).unwrap_or_default();
            let mut job = Job::new(stack, inventory, departed, prepared.get(&stack.stack_id).cloned());
            job.held_back = memory.waits.held_back(&job, goal_of);
            jobs.push(job);
        }
        drop(memory);

        // Everything is applied before anything is pruned, so that what changes hands never goes away.
        let first = work(&discovery);
        concurrently(jobs.iter_mut().map(|job| job.apply(&first).boxed()), STACKS).await;
        let mut latest = discovery.clone();
        if jobs.iter().any(|job| job.applying.defined) {
            let defining = jobs.iter().filter(|job| job.applying.defined).filter_map(|job| job.prepared.as_deref());
            concurrently(defining.map(|set| first.established(&set.ready).boxed()), STACKS).await;
            let mut memory = self.memory.lock().await;
            latest = self.discovery(&mut memory, true).await?;
            let before: Vec<_> = jobs.iter_mut().map(|job| job.prepared.take()).collect();
            for job in &mut jobs {
                let prepared = self.prepared(&mut memory, job.stack, &latest);
                job.prepare_anew(prepared);
            }
            drop(memory);
            let second = work(&latest);
            let rounds = jobs.iter_mut().zip(&before).filter_map(|(job, before)| {
                let before = before.as_deref()?;
                Some(async { job.apply_newly_served(&second, before).await }.boxed())
            });
            concurrently(rounds, STACKS).await;
        }
        // Those that come after others follow as soon as these stand, in the same pass where that is at once.
        loop {
            for job in jobs.iter_mut().filter(|job| job.held_back.is_none() && !job.is_judged) {
                first.judge_by_others(&mut job.applying.health).await;
                job.is_judged = true;
            }
            let mut memory = self.memory.lock().await;
            jobs.iter_mut().for_each(|job| memory.waits.judge(job, Instant::now()));
            let mut freed = Vec::new();
            for job in jobs.iter_mut().filter(|job| job.held_back.is_some()) {
                job.held_back = memory.waits.held_back(job, goal_of);
                if job.held_back.is_none() {
                    freed.push(job);
                }
            }
            drop(memory);
            if freed.is_empty() {
                break;
            }
            concurrently(freed.into_iter().map(|job| job.apply(&first).boxed()), STACKS).await;
        }
        // Whether a Namespace or a definition is empty is judged by what is served now, not some minutes ago.
        let loses_foundation = |inventory: &Inventory, wanted: &Objects| {
            inventory.entries.keys().any(|object| is_foundation(object) && !wanted.contains(object))
        };
        let mut fresh = latest.clone();
        {
            let mut memory = self.memory.lock().await;
            if jobs.iter().any(|job| loses_foundation(&job.inventory, &job.wanted)) || self.slots.has_retained() {
                fresh = self.discovery(&mut memory, true).await?;
            }
        }
        let last = work(&fresh);
        let may_remove = desired.may_remove;
        concurrently(jobs.iter_mut().map(|job| job.prune(&last, may_remove, desired.complete).boxed()), STACKS).await;
        self.prune_retained(&last, desired).await;

        let mut outcomes: Vec<StackOutcome> = Vec::new();
        let mut memory = self.memory.lock().await;
        for job in jobs {
            let is_trusted = job.broken.is_none();
            let (inventory, departed, outcome) = job.finish();
            if !inventory.entries.is_empty()
                && (outcome.removal && outcome.progress != crate::outcome::stack_outcome::Progress::Done
                    || inventory.is_retained_only())
            {
                memory.departed.insert(inventory.stack, departed);
            }
            if is_trusted {
                taken.put_back(inventory);
            }
            outcomes.push(outcome);
        }
        if outcomes.iter().any(|outcome| outcome.progress != crate::outcome::stack_outcome::Progress::Done) {
            memory.trouble_at = Some(Instant::now());
        }
        let there: BTreeSet<StackId> = desired.stacks.iter().map(|stack| stack.stack_id).collect();
        memory.prepared.retain(|stack, _| there.contains(stack));
        memory.waits.keep_only(|stack| there.contains(&stack));
        let held: BTreeSet<StackId> = self.slots.held_or_retained();
        memory.departed.retain(|stack, _| held.contains(stack));
        self.fights.lock().unwrap_or_else(PoisonError::into_inner).forget_old(Instant::now());
        self.job_ends.forget_old(Instant::now());
        self.watch_what_is_held(&fresh);
        Ok(outcomes)
    }
}
