//! The reconciler: one pass over what is due, given everything that is desired.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::FutureExt as _;

use super::apply::Work;
use super::autoscale::autoscaled;
use super::claims::{Claims, Want};
use super::fights::Fights;
use super::inventory::{Inventory, Keeper};
use super::job::Job;
use super::observe::{Observer, concurrently};
use super::order::is_foundation;
use super::ownership::field_manager;
use super::prepare::{Belonging, PreparedSet, prepare};
use super::readiness::Waits;
use super::{Applier, ApplierError, Desired, DesiredStack, Goal, HeldStack, StackOutcome};
use crate::cluster::{Cluster, ClusterError, Discovery};
use crate::manifest::ManifestSet;
use crate::model::{AgentId, Deletion, ObjectRef, StackId};

/// How old discovery may be when nothing suggests that it has changed.
const DISCOVERY_AGE: Duration = Duration::from_secs(300);
/// How often what is retained is looked at again.
const RETAINED_INTERVAL: Duration = Duration::from_secs(5);
/// Stacks at the same time.
const STACKS: usize = 8;

/// Whose objects a reconciler manages, and where it keeps its inventories.
#[derive(Debug, Clone)]
pub struct ReconcilerConfig {
    /// The agent.
    pub agent: AgentId,
    /// The namespace of its inventories; it must exist.
    pub namespace: String,
}

/// Makes a cluster hold what is desired. See [`Applier`] for the contract.
#[derive(Debug)]
pub struct Reconciler {
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) agent: AgentId,
    pub(super) manager: String,
    pub(super) keeper: Keeper,
    memory: tokio::sync::Mutex<Memory>,
}

/// What is known from earlier passes. All of it can be read again.
#[derive(Debug, Default)]
struct Memory {
    /// Absent before the first read, and after anything that may have made it wrong.
    inventories: Option<BTreeMap<StackId, Inventory>>,
    discovery: Option<(Arc<Discovery>, Instant)>,
    prepared: HashMap<StackId, Cached>,
    /// UIDs of what was deleted, per stack, while its removal goes on.
    departed: HashMap<StackId, BTreeSet<String>>,
    retained_at: Option<Instant>,
    waits: Waits,
    fights: Fights,
}

#[derive(Debug)]
struct Cached {
    manifests: Arc<ManifestSet>,
    discovery: Arc<Discovery>,
    namespace: String,
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
            memory: tokio::sync::Mutex::default(),
        }
    }

    async fn discovery(&self, memory: &mut Memory, afresh: bool) -> Result<Arc<Discovery>, ApplierError> {
        if let Some((discovery, at)) = &memory.discovery
            && !afresh
            && at.elapsed() < DISCOVERY_AGE
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
        {
            return Some(cached.set.clone());
        }
        let set = self.prepare(stack, discovery)?;
        let cached = Cached {
            manifests: manifests.clone(),
            discovery: discovery.clone(),
            namespace: namespace.clone(),
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
        let belonging = Belonging { agent: self.agent, stack: stack.stack_id, applyset: &applyset, default_namespace };
        Some(Arc::new(prepare(manifests, belonging, discovery)))
    }

    /// What is there and what is wanted, read afresh, for a plan.
    pub(super) async fn look(
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
    async fn prune_retained(
        &self,
        work: &Work<'_>,
        memory: &mut Memory,
        desired: &Desired,
        inventories: &mut BTreeMap<StackId, Inventory>,
    ) -> Result<(), ClusterError> {
        if !desired.may_remove
            || !desired.complete
            || memory.retained_at.is_some_and(|at| at.elapsed() < RETAINED_INTERVAL)
        {
            return Ok(());
        }
        memory.retained_at = Some(Instant::now());
        let known: BTreeSet<StackId> = desired.stacks.iter().map(|stack| stack.stack_id).collect();
        for inventory in inventories.values_mut() {
            if inventory.is_retained_only() && !inventory.entries.is_empty() && !known.contains(&inventory.stack) {
                let departed = memory.departed.entry(inventory.stack).or_default();
                work.prune(Deletion::Delete, &BTreeSet::new(), true, inventory, departed).await?;
            }
        }
        Ok(())
    }
}

/// The prepared manifests of each stack that is to be applied.
pub(super) type Prepared = BTreeMap<StackId, Arc<PreparedSet>>;

/// What each stack wants, for deciding whose an object is.
pub(super) fn claims(desired: &Desired, prepared: &Prepared, inventories: &BTreeMap<StackId, Inventory>) -> Claims {
    let want = |stack: &DesiredStack| match &stack.goal {
        Goal::Apply { .. } => Want::Objects(prepared.get(&stack.stack_id).map(|set| set.objects()).unwrap_or_default()),
        Goal::Remove => Want::Nothing,
        Goal::Keep => Want::WhatIsHeld,
    };
    Claims::new(desired.stacks.iter().map(|stack| (stack.stack_id, want(stack))).collect(), inventories)
}

#[async_trait]
impl Applier for Reconciler {
    async fn held(&self) -> Result<Vec<HeldStack>, ApplierError> {
        let mut memory = self.memory.lock().await;
        if memory.inventories.is_none() {
            memory.inventories = Some(self.keeper.load(&*self.cluster).await?);
        }
        let held = |inventory: &Inventory| HeldStack { stack_id: inventory.stack, objects: inventory.held_count() };
        Ok(memory.inventories.iter().flat_map(BTreeMap::values).map(held).filter(|it| it.objects > 0).collect())
    }

    async fn reconcile(&self, desired: &Desired, due: &BTreeSet<StackId>) -> Result<Vec<StackOutcome>, ApplierError> {
        let mut memory = self.memory.lock().await;
        let memory = &mut *memory;
        // Taken out: if this future is dropped in the middle, the next pass reads what is true from the cluster.
        let mut inventories = match memory.inventories.take() {
            Some(inventories) => inventories,
            None => self.keeper.load(&*self.cluster).await?,
        };
        let mut discovery = self.discovery(memory, false).await?;
        let due: Vec<&DesiredStack> = desired
            .stacks
            .iter()
            .filter(|stack| due.contains(&stack.stack_id) && !matches!(stack.goal, Goal::Keep))
            .collect();
        let lacks = |memory: &mut Memory, discovery: &Arc<Discovery>| {
            due.iter().any(|stack| self.prepared(memory, stack, discovery).is_some_and(|set| !set.unserved.is_empty()))
        };
        if lacks(memory, &discovery) {
            discovery = self.discovery(memory, true).await?;
        }
        let prepared: Prepared = desired
            .stacks
            .iter()
            .filter_map(|stack| Some((stack.stack_id, self.prepared(memory, stack, &discovery)?)))
            .collect();
        let claims = Mutex::new(claims(desired, &prepared, &inventories));
        let observer = Observer::new(&*self.cluster, self.agent, &self.manager);
        let fights = std::mem::take(&mut memory.fights);
        let fights = Mutex::new(fights);
        let autoscaled: BTreeSet<ObjectRef> = prepared.values().flat_map(|set| autoscaled(&set.ready)).collect();
        let work = |discovery| Work {
            cluster: &*self.cluster,
            agent: self.agent,
            manager: &self.manager,
            keeper: &self.keeper,
            observer: &observer,
            claims: &claims,
            fights: &fights,
            discovery,
            autoscaled: &autoscaled,
        };

        let goal_of = |id| desired.stacks.iter().find(|it| it.stack_id == id).map(|it| it.goal.clone());
        let mut jobs: Vec<Job<'_>> = due
            .iter()
            .map(|stack| {
                let inventory = inventories.remove(&stack.stack_id);
                let inventory = inventory.unwrap_or_else(|| Inventory::new(stack.stack_id));
                let departed = memory.departed.remove(&stack.stack_id).unwrap_or_default();
                let prepared = prepared.get(&stack.stack_id).cloned();
                let mut job = Job::new(stack, inventory, departed, prepared);
                job.held_back = memory.waits.held_back(&job, goal_of);
                job
            })
            .collect();

        // Everything is applied before anything is pruned, so that what changes hands never goes away.
        let first = work(&discovery);
        concurrently(jobs.iter_mut().map(|job| job.apply(&first).boxed()).collect(), STACKS).await;
        let mut latest = discovery.clone();
        if jobs.iter().any(|job| job.applying.defined) {
            let defining = jobs.iter().filter(|job| job.applying.defined).filter_map(|job| job.prepared.as_deref());
            concurrently(defining.map(|set| first.established(&set.ready).boxed()).collect(), STACKS).await;
            latest = self.discovery(memory, true).await?;
            let second = work(&latest);
            for job in &mut jobs {
                let Some(before) = job.prepared.take() else {
                    continue;
                };
                job.prepare_anew(self.prepared(memory, job.stack, &latest));
                job.apply_newly_served(&second, &before).await;
            }
        }
        for job in &mut jobs {
            first.settle_claims(&mut job.applying.health).await;
            memory.waits.judge(job, Instant::now());
        }
        // Whether a Namespace or a definition is empty is judged by what is served now, not some minutes ago.
        let loses_foundation = |inventory: &Inventory, wanted: &BTreeSet<ObjectRef>| {
            inventory.entries.keys().any(|object| is_foundation(object) && !wanted.contains(object))
        };
        let nothing = BTreeSet::new();
        let mut fresh = latest.clone();
        if jobs.iter().any(|job| loses_foundation(&job.inventory, &job.wanted))
            || inventories.values().any(|it| it.is_retained_only() && loses_foundation(it, &nothing))
        {
            fresh = self.discovery(memory, true).await?;
        }
        let last = work(&fresh);
        let may_remove = desired.may_remove;
        concurrently(
            jobs.iter_mut().map(|job| job.prune(&last, may_remove, desired.complete).boxed()).collect(),
            STACKS,
        )
        .await;
        let retained = self.prune_retained(&last, memory, desired, &mut inventories).await;

        let mut outcomes = Vec::new();
        let mut trusted = retained.is_ok();
        for job in jobs {
            trusted &= job.broken.is_none();
            let (inventory, departed, outcome) = job.finish();
            if !inventory.entries.is_empty() {
                if outcome.removal && outcome.progress != super::Progress::Done || inventory.is_retained_only() {
                    memory.departed.insert(inventory.stack, departed);
                }
                inventories.insert(inventory.stack, inventory);
            }
            outcomes.push(outcome);
        }
        inventories.retain(|_, inventory| !inventory.entries.is_empty());
        let there: BTreeSet<StackId> = desired.stacks.iter().map(|stack| stack.stack_id).collect();
        memory.prepared.retain(|stack, _| there.contains(stack));
        memory.waits.keep_only(|stack| there.contains(&stack));
        memory.fights = fights.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        memory.fights.forget_old(Instant::now());
        memory.departed.retain(|stack, _| inventories.contains_key(stack));
        if trusted {
            memory.inventories = Some(inventories);
        }
        Ok(outcomes)
    }
}
