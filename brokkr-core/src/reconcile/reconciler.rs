//! The reconciler: one pass over what is due, given everything that is desired.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::FutureExt as _;

use super::apply::{Applying, Work};
use super::claims::{Claims, Want};
use super::inventory::{Inventory, Keeper};
use super::observe::{Observer, concurrently};
use super::order::is_foundation;
use super::outcome::{ObjectProblem, progress};
use super::ownership::field_manager;
use super::prepare::{Belonging, Prepared, PreparedSet, prepare};
use super::prune::Pruning;
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
    cluster: Arc<dyn Cluster>,
    agent: AgentId,
    manager: String,
    keeper: Keeper,
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
}

#[derive(Debug)]
struct Cached {
    manifests: Arc<ManifestSet>,
    discovery: Arc<Discovery>,
    namespace: String,
    set: Arc<PreparedSet>,
}

/// One stack on its way through a pass.
struct Job<'a> {
    stack: &'a DesiredStack,
    inventory: Inventory,
    departed: BTreeSet<String>,
    prepared: Option<Arc<PreparedSet>>,
    wanted: BTreeSet<ObjectRef>,
    applying: Applying,
    pruning: Pruning,
    /// Set when the inventory could not be kept: what is in memory is not to be trusted any more.
    broken: Option<ClusterError>,
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
        let applyset = self.keeper.applyset(stack.stack_id);
        let belonging =
            Belonging { agent: self.agent, stack: stack.stack_id, applyset: &applyset, default_namespace: namespace };
        let set = Arc::new(prepare(manifests, belonging, discovery));
        let cached = Cached {
            manifests: manifests.clone(),
            discovery: discovery.clone(),
            namespace: namespace.clone(),
            set: set.clone(),
        };
        memory.prepared.insert(stack.stack_id, cached);
        Some(set)
    }

    /// What each stack wants, for deciding whose an object is.
    fn claims(
        &self,
        memory: &mut Memory,
        desired: &Desired,
        discovery: &Arc<Discovery>,
        inventories: &BTreeMap<StackId, Inventory>,
    ) -> Claims {
        let want = |stack: &DesiredStack| match &stack.goal {
            Goal::Apply { .. } => {
                let set = self.prepared(memory, stack, discovery).unwrap_or_default();
                Want::Objects(objects_of(&set))
            }
            Goal::Remove => Want::Nothing,
            Goal::Keep => Want::WhatIsHeld,
        };
        let mut want = want;
        let wants = desired.stacks.iter().map(|stack| (stack.stack_id, want(stack))).collect();
        Claims::new(wants, inventories)
    }

    async fn apply_one(&self, work: &Work<'_>, job: &mut Job<'_>) {
        let Some(set) = job.prepared.clone() else {
            return;
        };
        if let Err(error) = work.apply(job.stack, &set.ready, &mut job.inventory, &mut job.applying).await {
            job.broken = Some(error);
        }
    }

    /// The second round for stacks that bring the definitions of their own kinds.
    async fn apply_newly_served(&self, work: &Work<'_>, job: &mut Job<'_>, before: &PreparedSet) {
        let Some(set) = job.prepared.clone() else {
            return;
        };
        let served: Vec<Prepared> =
            set.ready.iter().filter(|it| !before.ready.iter().any(|old| old.object == it.object)).cloned().collect();
        if !served.is_empty()
            && let Err(error) = work.apply(job.stack, &served, &mut job.inventory, &mut job.applying).await
        {
            job.broken = Some(error);
        }
    }

    async fn prune_one(&self, work: &Work<'_>, job: &mut Job<'_>, may_remove: bool, complete: bool) {
        let is_removal = matches!(job.stack.goal, Goal::Remove);
        // What replaces something must stand before that goes. What another stack holds stands already.
        let stands = job.applying.problems.iter().all(|it| it.reason == "HeldByStack")
            && job.prepared.as_deref().is_none_or(|set| set.unserved.is_empty());
        if job.broken.is_some() || (!is_removal && !stands) {
            return;
        }
        if is_removal && job.inventory.entries.is_empty() {
            // Nothing is held, or what is held was forgotten.
            match work.strays(job.stack.stack_id).await {
                Ok(strays) => job.pruning.problems.extend(strays),
                Err(error) => {
                    job.pruning.problems.push(ObjectProblem::failed(parent(), error.reason(), error.to_string()))
                }
            }
            return;
        }
        let doomed = job.inventory.entries.keys().any(|object| !job.wanted.contains(object));
        if !doomed {
            return;
        }
        if !complete {
            let objects = job.inventory.entries.keys().filter(|object| !job.wanted.contains(*object));
            let message = "the content of another stack, which may want it, is not at hand";
            let held = objects.map(|object| ObjectProblem::waiting(object.clone(), "ContentPending", message));
            job.pruning.problems.extend(held);
            return;
        }
        if !may_remove {
            let objects = job.inventory.entries.keys().filter(|object| !job.wanted.contains(*object));
            let message = "history may have forked: nothing is removed until an admin confirms the epoch";
            let held = objects.map(|object| ObjectProblem::waiting(object.clone(), "EpochUnconfirmed", message));
            job.pruning.problems.extend(held);
            return;
        }
        let deletion = job.stack.policies.deletion;
        match work.prune(deletion, &job.wanted, false, &mut job.inventory, &mut job.departed).await {
            Ok(pruning) => job.pruning = pruning,
            Err(error) => job.broken = Some(error),
        }
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

fn objects_of(set: &PreparedSet) -> BTreeSet<ObjectRef> {
    set.ready.iter().map(|it| it.object.clone()).chain(set.unserved.iter().cloned()).collect()
}

/// What problems with the record itself are about.
fn parent() -> ObjectRef {
    ObjectRef { group: String::new(), kind: "Secret".to_owned(), namespace: None, name: "inventory".to_owned() }
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
        let claims = Mutex::new(self.claims(memory, desired, &discovery, &inventories));
        let observer = Observer::new(&*self.cluster, self.agent, &self.manager);
        let work = |discovery| Work {
            cluster: &*self.cluster,
            agent: self.agent,
            manager: &self.manager,
            keeper: &self.keeper,
            observer: &observer,
            claims: &claims,
            discovery,
        };

        let mut jobs: Vec<Job<'_>> = due
            .iter()
            .map(|stack| {
                let prepared = self.prepared(memory, stack, &discovery);
                Job {
                    stack,
                    inventory: inventories.remove(&stack.stack_id).unwrap_or_else(|| Inventory::new(stack.stack_id)),
                    departed: memory.departed.remove(&stack.stack_id).unwrap_or_default(),
                    wanted: prepared.as_deref().map(objects_of).unwrap_or_default(),
                    prepared,
                    applying: Applying::default(),
                    pruning: Pruning::default(),
                    broken: None,
                }
            })
            .collect();

        // Everything is applied before anything is pruned, so that what changes hands never goes away.
        let first = work(&discovery);
        concurrently(jobs.iter_mut().map(|job| self.apply_one(&first, job).boxed()).collect(), STACKS).await;
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
                job.prepared = self.prepared(memory, job.stack, &latest);
                job.wanted = job.prepared.as_deref().map(objects_of).unwrap_or_default();
                self.apply_newly_served(&second, job, &before).await;
            }
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
            jobs.iter_mut().map(|job| self.prune_one(&last, job, may_remove, desired.complete).boxed()).collect(),
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
        memory.departed.retain(|stack, _| inventories.contains_key(stack));
        if trusted {
            memory.inventories = Some(inventories);
        }
        Ok(outcomes)
    }
}

impl Job<'_> {
    fn finish(self) -> (Inventory, BTreeSet<String>, StackOutcome) {
        let mut problems = self.applying.problems;
        let unserved = self.prepared.as_deref().map(|set| set.unserved.as_slice()).unwrap_or_default();
        let message = "the cluster does not serve this kind in this version";
        problems.extend(unserved.iter().map(|object| ObjectProblem::failed(object.clone(), "KindNotServed", message)));
        problems.extend(self.pruning.problems);
        if let Some(error) = self.broken {
            problems.push(ObjectProblem::failed(parent(), "InventoryNotKept", error.to_string()));
        }
        let total = self.wanted.len().max(self.inventory.entries.len()).max(problems.len());
        // In an order that does not depend on which request came back first.
        let (mut corrected, mut drifted) = (self.applying.corrected, self.applying.drifted);
        corrected.sort();
        drifted.sort();
        let outcome = StackOutcome {
            stack_id: self.stack.stack_id,
            revision: match &self.stack.goal {
                Goal::Apply { revision, .. } => Some(*revision),
                Goal::Remove | Goal::Keep => None,
            },
            removal: matches!(self.stack.goal, Goal::Remove),
            progress: progress(problems, total),
            retained: self.pruning.retained,
            corrected,
            drifted,
            writes: self.applying.writes + self.pruning.writes,
        };
        (self.inventory, self.departed, outcome)
    }
}
