//! One agent in the fleet view, and its target state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use brokkr_core::model::{
    Agent, AgentStatus, AssignmentState, DeploymentObjectId, Epoch, Generation, GeneratorId, GeneratorPrincipal,
    Policies, Stack, StackId, Version,
};
use brokkr_core::protocol::{EntryAction, TargetEntry, TargetState, Tenant};
use tokio::sync::watch;

use crate::view::stack_entry::StackEntry;
use crate::view::tenants::Tenants;

/// The state of one stack and agent that match, have a direct target, or once had an assignment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Whether the agent should serve the stack, according to registration and policy.
    pub(crate) matched: bool,
    /// Whether a direct target exists.
    pub(crate) direct: bool,
    /// The state of the assignment, if there ever was one.
    pub(crate) assignment: Option<AssignmentState>,
}

impl Pair {
    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Whether the target state contains the stack: it matches, and it is already listed or the agent accepts new stacks.
    pub(crate) fn is_wanted(self, agent: AgentStatus) -> bool {
        self.matched && (agent == AgentStatus::Active || self.assignment == Some(AssignmentState::Listed))
    }

    /// Whether the pair is listed although it no longer matches: nobody has decided yet about the loss. The agent keeps the
    /// stack meanwhile. Only for stacks that are not being deleted: deletion is an explicit order.
    pub(crate) fn is_undecided(self, agent: AgentStatus) -> bool {
        !self.matched && self.assignment == Some(AssignmentState::Listed) && agent != AgentStatus::Retired
    }

    /// Whether the agent has not yet confirmed the removal.
    pub(crate) fn is_open(self) -> bool {
        matches!(self.assignment, Some(AssignmentState::Listed | AssignmentState::Lost | AssignmentState::Withdrawn))
    }
}

/// One stack and agent, not evaluated.
pub(crate) struct PairOf {
    pub(crate) stack: Arc<Stack>,
    /// The stack's generator.
    pub(crate) owner: Option<Arc<GeneratorPrincipal>>,
    pub(crate) agent: Arc<Agent>,
    pub(crate) pair: Pair,
}

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

    /// Discards the computed target state and wakes waiting polls.
    pub(crate) fn touch(&mut self) {
        self.wanted = OnceLock::new();
        self.changed.send_modify(|count| *count += 1);
    }

    /// The target state, computed at most once between two changes.
    pub(crate) fn wanted(
        &self,
        epoch: Epoch,
        stacks: &BTreeMap<StackId, StackEntry>,
        tenants: &Tenants,
    ) -> Arc<Wanted> {
        self.wanted.get_or_init(|| Arc::new(self.compute(epoch, stacks, tenants))).clone()
    }

    fn compute(&self, epoch: Epoch, stacks: &BTreeMap<StackId, StackEntry>, tenants: &Tenants) -> Wanted {
        let mut generators: BTreeMap<GeneratorId, Tenant> = BTreeMap::new();
        let (mut entries, mut unlisted, mut listed) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut versions: BTreeMap<GeneratorId, Version> = BTreeMap::new();
        for (id, pair) in &self.pairs {
            let Some(entry) = stacks.get(id) else {
                continue;
            };
            let stack = &entry.stack;
            let was_listed = pair.assignment == Some(AssignmentState::Listed);
            let status = self.agent.status;
            let is_kept = pair.is_wanted(status) || stack.is_active() && pair.is_undecided(status);
            let object = entry.object.as_ref().filter(|_| is_kept);
            let (action, confirmed) = match (object, pair.assignment) {
                (Some(_), _) => (EntryAction::Apply, false),
                (None, None | Some(AssignmentState::Gone)) => continue,
                (None, Some(AssignmentState::Listed | AssignmentState::Lost)) => {
                    (EntryAction::Remove, !stack.is_active())
                }
                (None, Some(_)) => (EntryAction::Remove, true),
            };
            let tenant = generators
                .entry(stack.generator_id)
                .or_insert_with_key(|generator| tenants.tenant(&self.agent, *generator));
            let namespace = stack.policies.namespace_for(stack.generator_id, &tenant.name).to_owned();
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
                object_id: object.map(|it| it.id),
                revision: object.map(|it| it.revision),
                digest: object.map(|it| it.digest),
                size: object.map(|it| it.size),
                policies: Policies { default_namespace: Some(namespace), ..stack.policies.clone() },
                depends_on: object.map(|_| stack.depends_on.clone()).unwrap_or_default(),
                confirmed,
            });
        }
        let epoch_confirmed = self.agent.confirmed_epoch == Some(epoch);
        let tenants = generators.into_values().collect();
        let objects = entries.iter().filter_map(|it: &TargetEntry| it.object_id).collect();
        let state = TargetState::new(self.agent.id, epoch, epoch_confirmed, Generation::default(), tenants, entries);
        Wanted {
            state,
            unlisted,
            generators: versions,
            agent_version: self.agent.version,
            stacks: Arc::new(listed),
            objects,
        }
    }
}
