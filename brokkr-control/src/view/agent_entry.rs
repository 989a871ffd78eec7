//! What the view knows of one agent, and the target state that follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use brokkr_core::model::{Agent, AgentStatus, AssignmentState, Epoch, Generation, StackId, Version};
use brokkr_core::protocol::{EntryAction, TargetEntry, TargetState};
use tokio::sync::watch;

use crate::view::stack_entry::StackEntry;

/// What is known of a pair that is matched, directly targeted or was ever listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Whether the agent should serve the stack, by registration and policy.
    pub(crate) matched: bool,
    /// Whether a direct target exists.
    pub(crate) direct: bool,
    /// What became of an earlier listing.
    pub(crate) assignment: Option<AssignmentState>,
}

impl Pair {
    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Whether the agent should hold the stack: it is matched, and either listed already or the agent takes new ones.
    pub(crate) fn is_wanted(self, agent: AgentStatus) -> bool {
        self.matched && (agent == AgentStatus::Active || self.assignment == Some(AssignmentState::Listed))
    }

    /// Whether the agent is still waited for.
    pub(crate) fn is_open(self) -> bool {
        matches!(self.assignment, Some(AssignmentState::Listed | AssignmentState::Withdrawn))
    }
}

/// What an agent should hold, ready to be sent.
pub(crate) struct Wanted {
    /// Without a meaningful generation.
    pub(crate) state: TargetState,
    /// Pairs that are to be applied and were not recorded as listed yet, with the version of the stack that
    /// was looked at. They are recorded before anybody is told.
    pub(crate) unlisted: Vec<(StackId, Version)>,
    /// The version of the agent that was looked at.
    pub(crate) agent_version: Version,
    /// The stacks that are listed.
    pub(crate) stacks: Arc<BTreeSet<StackId>>,
}

pub(crate) struct AgentEntry {
    pub(crate) agent: Arc<Agent>,
    pub(crate) pairs: BTreeMap<StackId, Pair>,
    /// Moves when the target state may have changed, or a key of the agent was revoked.
    pub(crate) changed: watch::Sender<u64>,
    wanted: OnceLock<Arc<Wanted>>,
}

impl AgentEntry {
    pub(crate) fn new(agent: Arc<Agent>) -> Self {
        Self { agent, pairs: BTreeMap::new(), changed: watch::Sender::new(0), wanted: OnceLock::new() }
    }

    /// Forgets the computed target state and wakes whoever waits.
    pub(crate) fn touch(&mut self) {
        self.wanted = OnceLock::new();
        self.changed.send_modify(|count| *count += 1);
    }

    /// The target state, computed at most once between two changes.
    pub(crate) fn wanted(&self, epoch: Epoch, stacks: &BTreeMap<StackId, StackEntry>) -> Arc<Wanted> {
        self.wanted.get_or_init(|| Arc::new(self.compute(epoch, stacks))).clone()
    }

    fn compute(&self, epoch: Epoch, stacks: &BTreeMap<StackId, StackEntry>) -> Wanted {
        let (mut entries, mut unlisted, mut listed) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (id, pair) in &self.pairs {
            let Some(entry) = stacks.get(id) else {
                continue;
            };
            let stack = &entry.stack;
            let was_listed = pair.assignment == Some(AssignmentState::Listed);
            let object = entry.object.as_ref().filter(|_| pair.is_wanted(self.agent.status));
            let (action, confirmed) = match (object, pair.assignment) {
                (Some(_), _) => (EntryAction::Apply, false),
                (None, None | Some(AssignmentState::Gone)) => continue,
                (None, Some(state)) => (EntryAction::Remove, state != AssignmentState::Listed || !stack.is_active()),
            };
            if object.is_some() && !was_listed {
                unlisted.push((*id, stack.version));
            }
            listed.insert(*id);
            entries.push(TargetEntry {
                stack_id: *id,
                stack_name: stack.name.to_string(),
                action,
                object_id: object.map(|it| it.id),
                revision: object.map(|it| it.revision),
                digest: object.map(|it| it.digest),
                size: object.map(|it| it.size),
                policies: stack.policies.clone(),
                depends_on: object.map(|_| stack.depends_on.clone()).unwrap_or_default(),
                confirmed,
            });
        }
        let epoch_confirmed = self.agent.confirmed_epoch == Some(epoch);
        let state = TargetState::new(self.agent.id, epoch, epoch_confirmed, Generation::default(), entries);
        Wanted { state, unlisted, agent_version: self.agent.version, stacks: Arc::new(listed) }
    }
}
