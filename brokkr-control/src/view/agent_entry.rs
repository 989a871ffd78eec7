//! One agent in the fleet view, and its target state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use brokkr_core::desired::Desired;
use brokkr_core::model::{
    Agent, AssignmentState, DeploymentObjectId, Epoch, Generation, GeneratorId, Policies, StackId, Version,
};
use brokkr_core::protocol::{EntryAction, TargetEntry, TargetState, Tenant};
use tokio::sync::watch;

use crate::view::desire::desire;
use crate::view::environments::Environments;
use crate::view::pair::Pair;
use crate::view::stack_entry::StackEntry;
use crate::view::tenants::Tenants;

/// The target state of an agent, ready to send.
pub(crate) struct Wanted {
    /// The target state; its generation is set when it is sent.
    pub(crate) state: TargetState,
    /// Stacks to apply without a recorded assignment, with the evaluated version of each stack. The assignment is recorded
    /// before the agent gets the target state.
    pub(crate) unlisted: Vec<(StackId, Version)>,
    /// The evaluated versions of the generators of these stacks: their limits decide.
    pub(crate) generators: BTreeMap<GeneratorId, Version>,
    /// The evaluated version of the agent.
    pub(crate) agent_version: Version,
    /// All stacks in the target state.
    pub(crate) stacks: Arc<BTreeSet<StackId>>,
    /// The deployment objects to apply.
    pub(crate) objects: BTreeSet<DeploymentObjectId>,
    /// Whether the agent has to know the action `hold`.
    pub(crate) holds: bool,
}

/// What target states are computed from besides agents.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) epoch: Epoch,
    pub(crate) stacks: &'a BTreeMap<StackId, StackEntry>,
    pub(crate) tenants: &'a Tenants,
    pub(crate) environments: &'a Environments,
}

pub(crate) struct AgentEntry {
    pub(crate) agent: Arc<Agent>,
    pub(crate) pairs: BTreeMap<StackId, Pair>,
    /// Changes when the target state may have changed, or when a key of the agent was revoked.
    pub(crate) changed: watch::Sender<u64>,
    wanted: OnceLock<Arc<Wanted>>,
}

impl AgentEntry {
    pub(crate) fn new(agent: Arc<Agent>) -> Self {
        Self { agent, pairs: BTreeMap::new(), changed: watch::Sender::new(0), wanted: OnceLock::new() }
    }

    /// Discards the computed target state, for a change that waiting polls need not hear of.
    pub(crate) fn discard(&mut self) {
        self.wanted = OnceLock::new();
    }

    /// Discards the computed target state and wakes waiting polls.
    pub(crate) fn touch(&mut self) {
        self.discard();
        self.changed.send_modify(|count| *count += 1);
    }

    /// The target state, computed at most once between two changes.
    pub(crate) fn wanted(&self, surroundings: Surroundings<'_>) -> Arc<Wanted> {
        self.wanted.get_or_init(|| Arc::new(self.compute(surroundings))).clone()
    }

    fn compute(&self, surroundings: Surroundings<'_>) -> Wanted {
        let Surroundings { epoch, stacks, tenants, environments } = surroundings;
        let mut generators: BTreeMap<GeneratorId, Tenant> = BTreeMap::new();
        let (mut entries, mut unlisted, mut listed) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut versions: BTreeMap<GeneratorId, Version> = BTreeMap::new();
        for (id, pair) in &self.pairs {
            let Some(entry) = stacks.get(id) else {
                continue;
            };
            let stack = &entry.stack;
            let was_listed = pair.assignment == Some(AssignmentState::Listed);
            let desired = desire(entry, &self.agent, *pair, tenants, environments);
            let object = desired.revision().copied();
            let (action, confirmed) = match desired {
                Desired::Revision { .. } => (EntryAction::Apply, false),
                Desired::Hold { .. } => (EntryAction::Hold, false),
                Desired::Remove { confirmed, .. } => (EntryAction::Remove, confirmed),
                Desired::Absent { .. } => continue,
            };
            let policies = object.map_or(&stack.policies, |object| &object.policies);
            let tenant = generators
                .entry(stack.generator_id)
                .or_insert_with_key(|generator| tenants.tenant(&self.agent, *generator));
            let namespace = policies.namespace_for(stack.generator_id, &tenant.name).to_owned();
            if object.is_some() && !was_listed {
                unlisted.push((*id, stack.version));
                versions.extend(tenants.generator(stack.generator_id).map(|it| (it.id, it.version)));
            }
            listed.insert(*id);
            entries.push(TargetEntry {
                stack_id: *id,
                stack_name: stack.name.to_string(),
                generator_id: stack.generator_id,
                action,
                object_id: object.map(|it| it.object_id),
                revision: object.map(|it| it.revision),
                digest: object.map(|it| it.digest),
                size: object.map(|it| it.size),
                policies: Policies { default_namespace: Some(namespace), ..policies.clone() },
                depends_on: object.map(|object| object.depends_on.clone()).unwrap_or_default(),
                confirmed,
            });
        }
        let epoch_confirmed = self.agent.confirmed_epoch == Some(epoch);
        let tenants = generators.into_values().collect();
        let objects = entries.iter().filter_map(|it: &TargetEntry| it.object_id).collect();
        let holds = entries.iter().any(|it| it.action == EntryAction::Hold);
        let state = TargetState::new(self.agent.id, epoch, epoch_confirmed, Generation::default(), tenants, entries);
        Wanted {
            state,
            unlisted,
            generators: versions,
            agent_version: self.agent.version,
            stacks: Arc::new(listed),
            objects,
            holds,
        }
    }
}
