//! Common setup of passes and plans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brokkr_core::model::{ObjectRef, StackId};
use brokkr_core::protocol::Tenant;

use crate::applier::{Desired, DesiredStack, Goal};
use crate::apply::replicas::autoscaled;
use crate::cluster::Discovery;
use crate::context::PassContext;
use crate::context::bookkeeping::Bookkeeping;
use crate::desired::prepare::PreparedSet;
use crate::observed::observer::Observer;
use crate::ownership::claims::Want;
use crate::pass::shared::Shared;

/// The prepared manifests of all stacks, and facts derived from them.
pub(crate) struct PassSetup<'a> {
    shared: &'a Shared,
    desired: &'a Desired,
    /// The prepared manifests of each stack to apply.
    prepared: BTreeMap<StackId, Arc<PreparedSet>>,
    observer: Observer<'a>,
    autoscaled: BTreeSet<ObjectRef>,
}

impl<'a> PassSetup<'a> {
    /// Prepares the manifests of all stacks with `prepare`.
    pub(crate) fn new(
        shared: &'a Shared,
        desired: &'a Desired,
        mut prepare: impl FnMut(&DesiredStack) -> Option<Arc<PreparedSet>>,
    ) -> Self {
        let stacks = desired.stacks.iter();
        let prepared: BTreeMap<_, _> = stacks.filter_map(|stack| Some((stack.stack_id, prepare(stack)?))).collect();
        let observer = Observer::new(&*shared.cluster, shared.agent, &shared.manager, &shared.limits)
            .ignoring(prepared.values().flat_map(|set| &set.ready));
        let autoscaled = prepared.values().flat_map(|set| autoscaled(&set.ready)).collect();
        Self { shared, desired, prepared, observer, autoscaled }
    }

    /// Returns the prepared manifests of a stack; `None` if the agent does not apply the stack.
    pub(crate) fn prepared(&self, stack: StackId) -> Option<&Arc<PreparedSet>> {
        self.prepared.get(&stack)
    }

    /// Returns the objects that each stack wants, to decide about ownership.
    pub(crate) fn wants(&self) -> BTreeMap<StackId, Want> {
        let want = |stack: &DesiredStack| match &stack.goal {
            Goal::Apply { .. } => {
                Want::Objects(self.prepared(stack.stack_id).map(|set| set.objects.clone()).unwrap_or_default())
            }
            Goal::Remove => Want::Nothing,
            Goal::Keep | Goal::Hold => Want::WhatIsHeld,
        };
        self.desired.stacks.iter().map(|stack| (stack.stack_id, want(stack))).collect()
    }

    /// Returns the generator that owns each stack.
    pub(crate) fn tenants(&self) -> BTreeMap<StackId, Arc<Tenant>> {
        self.desired.stacks.iter().map(|stack| (stack.stack_id, stack.tenant.clone())).collect()
    }

    /// Returns the context for work on a stack, with the newest discovery.
    pub(crate) fn context<'c>(&'c self, books: &'c Bookkeeping, discovery: &'c Discovery) -> PassContext<'c> {
        PassContext {
            cluster: &*self.shared.cluster,
            writer: &*self.shared.cluster,
            agent: self.shared.agent,
            manager: &self.shared.manager,
            keeper: &self.shared.keeper,
            observer: &self.observer,
            limits: &self.shared.limits,
            books,
            job_ends: &self.shared.job_ends,
            discovery,
            autoscaled: &self.autoscaled,
        }
    }
}
