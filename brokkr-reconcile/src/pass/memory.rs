//! Caches between passes. All of them can be rebuilt from the cluster.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_core::manifest::ManifestSet;
use brokkr_core::model::{IgnoreRule, StackId};
use brokkr_core::protocol::Tenant;

use crate::applier::{ApplierError, DesiredStack, Goal};
use crate::cluster::{Cluster, Discovery};
use crate::desired::prepare::PreparedSet;
use crate::pass::waits::Waits;

/// Maximum age of a discovery if nothing suggests that the served kinds have changed.
const DISCOVERY_AGE: Duration = Duration::from_secs(300);
/// Maximum age of a discovery after an incomplete pass: a kind may have been added or removed.
const TROUBLED_AGE: Duration = Duration::from_secs(10);
/// Interval between checks of retained objects.
const RETAINED_INTERVAL: Duration = Duration::from_secs(5);

/// Caches between passes.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    discovery: Option<(Arc<Discovery>, Instant)>,
    /// When a pass was last incomplete.
    pub(crate) trouble_at: Option<Instant>,
    prepared: HashMap<StackId, Cached>,
    /// UIDs of deleted objects per stack, until the removal is complete.
    pub(crate) deleted_uids: HashMap<StackId, BTreeSet<String>>,
    retained_at: Option<Instant>,
    pub(crate) waits: Waits,
}

/// The prepared manifests of a stack, and the inputs that they were prepared from.
#[derive(Debug)]
struct Cached {
    manifests: Arc<ManifestSet>,
    discovery: Arc<Discovery>,
    namespace: String,
    ignore: Vec<IgnoreRule>,
    tenant: Arc<Tenant>,
    set: Arc<PreparedSet>,
}

impl Cached {
    fn is_of(&self, stack: &DesiredStack, manifests: &Arc<ManifestSet>, discovery: &Arc<Discovery>) -> bool {
        Arc::ptr_eq(&self.manifests, manifests)
            && Arc::ptr_eq(&self.discovery, discovery)
            && self.namespace == default_namespace(stack)
            && self.ignore == stack.policies.ignore
            && (Arc::ptr_eq(&self.tenant, &stack.tenant) || self.tenant == stack.tenant)
    }
}

/// The namespace of a stack's objects whose manifests have none.
pub(crate) fn default_namespace(stack: &DesiredStack) -> &str {
    stack.policies.namespace_for(stack.tenant.generator_id, &stack.tenant.name)
}

impl Memory {
    /// Returns the cached discovery. Refreshes it if it is too old or if `afresh` is set.
    pub(crate) async fn discovery(
        &mut self,
        cluster: &dyn Cluster,
        afresh: bool,
    ) -> Result<Arc<Discovery>, ApplierError> {
        if let Some((discovery, at)) = &self.discovery
            && !afresh
            && at.elapsed() < DISCOVERY_AGE
            && (at.elapsed() < TROUBLED_AGE || self.trouble_at.is_none_or(|trouble| trouble < *at))
            && discovery.failed.is_empty()
        {
            return Ok(discovery.clone());
        }
        let discovery = cluster.discover().await.map_err(ApplierError::Discovery)?;
        // An unchanged discovery keeps its identity, so that manifests prepared with it stay valid.
        let discovery = match self.discovery.take() {
            Some((before, _)) if *before == discovery => before,
            _ => Arc::new(discovery),
        };
        self.discovery = Some((discovery.clone(), Instant::now()));
        Ok(discovery)
    }

    /// Returns the prepared manifests of a stack, cached by content, policies and discovery. `None` if the stack is not
    /// to be applied.
    pub(crate) fn prepared(
        &mut self,
        stack: &DesiredStack,
        discovery: &Arc<Discovery>,
        prepare: impl FnOnce() -> Option<Arc<PreparedSet>>,
    ) -> Option<Arc<PreparedSet>> {
        let Goal::Apply { manifests, .. } = &stack.goal else {
            return None;
        };
        let cached = self.prepared.get(&stack.stack_id).filter(|cached| cached.is_of(stack, manifests, discovery));
        if let Some(cached) = cached {
            return Some(cached.set.clone());
        }
        let set = prepare()?;
        let cached = Cached {
            manifests: manifests.clone(),
            discovery: discovery.clone(),
            namespace: default_namespace(stack).to_owned(),
            ignore: stack.policies.ignore.clone(),
            tenant: stack.tenant.clone(),
            set: set.clone(),
        };
        self.prepared.insert(stack.stack_id, cached);
        Some(set)
    }

    /// Whether a check of retained objects is due. If so, schedules the next one.
    pub(crate) fn retained_is_due(&mut self) -> bool {
        let is_due = self.retained_at.is_none_or(|at| at.elapsed() >= RETAINED_INTERVAL);
        if is_due {
            self.retained_at = Some(Instant::now());
        }
        is_due
    }

    /// Drops the caches of stacks that are no longer desired, and the deleted UIDs of stacks without held objects.
    pub(crate) fn keep_only(&mut self, desired: &BTreeSet<StackId>, held: &BTreeSet<StackId>) {
        self.prepared.retain(|stack, _| desired.contains(stack));
        self.waits.keep_only(|stack| desired.contains(&stack));
        self.deleted_uids.retain(|stack, _| held.contains(stack));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use brokkr_core::model::{GeneratorId, Policies};

    use super::*;
    use crate::cluster::{MemoryCluster, Verb};
    use crate::samples::Sample;

    #[tokio::test]
    async fn discovery_is_refreshed_when_possibly_stale() {
        let ago = |age: Duration| Instant::now().checked_sub(age).expect("the machine has run for longer");
        let (second, young) = (Duration::from_secs(1), Duration::from_secs(5));
        for (age, trouble, afresh, failed, expected) in [
            (young, None, false, false, false),
            (young, None, true, false, true),
            (young, None, false, true, true),
            (young, Some(second), false, false, false),
            (TROUBLED_AGE + second, None, false, false, false),
            (TROUBLED_AGE + second, Some(second), false, false, true),
            // Refreshed since the last incomplete pass.
            (TROUBLED_AGE + second, Some(TROUBLED_AGE * 2), false, false, false),
            (DISCOVERY_AGE, None, false, false, true),
        ] {
            let cluster = MemoryCluster::new();
            let mut known = cluster.discover().await.expect("discovery");
            known.failed.extend(failed.then(|| "w.example".to_owned()));
            let known = Arc::new(known);
            let discovery = Some((known.clone(), ago(age)));
            let mut memory = Memory { discovery, trouble_at: trouble.map(ago), ..Memory::default() };
            let asked = Arc::new(AtomicUsize::new(0));
            let counted = asked.clone();
            cluster.set_fault(Some(Box::new(move |request| {
                counted.fetch_add(usize::from(request.verb == Verb::Discover), Ordering::SeqCst);
                None
            })));
            let found = memory.discovery(&cluster, afresh).await.expect("discovery");
            let case = format!("{age:?} old, trouble {trouble:?} ago, afresh {afresh}, failed {failed}");
            assert_eq!(asked.load(Ordering::SeqCst) == 1, expected, "{case}");
            assert_eq!(Arc::ptr_eq(&found, &known), !failed, "the same content keeps its identity: {case}");
        }
    }

    #[test]
    fn manifests_are_prepared_once_per_content_policy_and_discovery() {
        let sample = Sample::new();
        let desired = sample.desired(Policies::default());
        let first = Arc::new(Discovery::default());
        let elsewhere = Policies { default_namespace: Some("elsewhere".to_owned()), ..Policies::default() };
        let ignoring = Policies { ignore: vec![IgnoreRule::default()], ..Policies::default() };
        let with = |policies: Policies| DesiredStack { policies, ..desired.clone() };
        let removed = DesiredStack { goal: Goal::Remove, ..desired.clone() };
        let narrowed =
            DesiredStack { tenant: Arc::new(Tenant::without_grant(GeneratorId::SYSTEM, "system")), ..desired.clone() };
        for (name, stack, discovery, expected) in [
            ("the same", desired.clone(), first.clone(), 0),
            ("other content", sample.desired(Policies::default()), first.clone(), 1),
            ("another namespace", with(elsewhere), first.clone(), 1),
            ("other rules", with(ignoring), first.clone(), 1),
            ("another discovery", desired.clone(), Arc::new(Discovery::default()), 1),
            ("a removal", removed, first.clone(), 0),
            ("another grant", narrowed, first.clone(), 1),
        ] {
            let mut memory = Memory::default();
            let set = || Some(Arc::new(PreparedSet::default()));
            assert!(memory.prepared(&desired, &first, set).is_some());
            let mut prepared = 0;
            let found = memory.prepared(&stack, &discovery, || {
                prepared += 1;
                set()
            });
            assert_eq!(prepared, expected, "{name}");
            assert_eq!(found.is_some(), name != "a removal");
        }
    }

    #[test]
    fn retained_objects_are_checked_once_per_interval() {
        let mut memory = Memory::default();
        assert!(memory.retained_is_due());
        assert!(!memory.retained_is_due());
        memory.retained_at = Instant::now().checked_sub(RETAINED_INTERVAL);
        assert!(memory.retained_is_due());
    }
}
