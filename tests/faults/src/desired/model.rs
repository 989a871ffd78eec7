//! The model: plain facts, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

pub(super) const STACKS: usize = 3;
pub(super) const AGENTS: usize = 4;
pub(super) const ENVIRONMENTS: usize = 2;

/// What an agent is told until the broker has decided about a loss.
const LOSS: &str = "hold until the loss is decided";

#[derive(Debug, Clone, Default)]
pub(super) struct Stack {
    pub(super) is_gated: bool,
    pub(super) is_suspended: bool,
    pub(super) is_deleted: bool,
    /// The content of each revision.
    pub(super) contents: Vec<u32>,
}

impl Stack {
    pub(super) fn newest(&self) -> Option<u64> {
        Some(self.contents.len() as u64).filter(|newest| *newest > 0)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Agent {
    pub(super) environment: Option<usize>,
    /// Whether it has the label of the stacks.
    pub(super) is_labelled: bool,
    pub(super) is_cordoned: bool,
    pub(super) is_suspended: bool,
}

/// What an agent has heard of a stack and not reported as gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Listed,
    /// It was listed, and the broker has decided that nothing selects the agent any more.
    Lost,
    /// A person removed the target.
    Withdrawn,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) stacks: [Stack; STACKS],
    pub(super) agents: [Agent; AGENTS],
    pub(super) protected: [bool; ENVIRONMENTS],
    pub(super) targets: BTreeSet<(usize, usize)>,
    pub(super) heard: BTreeMap<(usize, usize), Heard>,
    /// The stable revisions of a stack in an environment, the present one last.
    pub(super) stable: BTreeMap<(usize, Option<usize>), Vec<u64>>,
    pub(super) suspended_in: BTreeSet<(usize, Option<usize>)>,
    pub(super) pins: BTreeMap<(usize, usize), u64>,
}

impl Model {
    pub(super) fn is_wanted(&self, stack: usize, agent: usize) -> bool {
        self.agents[agent].is_labelled || self.targets.contains(&(stack, agent))
    }

    /// What the agent should be told of the stack.
    pub(super) fn told(&self, stack: usize, agent: usize) -> String {
        let heard = self.heard.get(&(stack, agent)).copied();
        let Agent { environment, is_cordoned, is_suspended, .. } = self.agents[agent];
        let is_wanted = self.is_wanted(stack, agent);
        let is_ordered = self.stacks[stack].is_deleted || heard == Some(Heard::Withdrawn);
        let removal = if is_ordered { "remove!" } else { "remove" };
        let kept = |what: &str| if heard.is_some() { what.to_owned() } else { "nothing".to_owned() };
        let is_new = heard != Some(Heard::Listed);
        // Orders of people come first.
        if self.stacks[stack].is_deleted {
            return kept(removal);
        }
        if is_new && is_wanted && is_cordoned {
            return kept(removal);
        }
        if !is_wanted && matches!(heard, None | Some(Heard::Withdrawn)) {
            return kept(removal);
        }
        if self.stacks[stack].is_suspended || self.suspended_in.contains(&(stack, environment)) || is_suspended {
            return kept("hold");
        }
        if !is_wanted {
            return kept(if heard == Some(Heard::Lost) { removal } else { LOSS });
        }
        let waits = self.stacks[stack].is_gated || environment.is_some_and(|it| self.protected[it]);
        let revision = match self.pins.get(&(stack, agent)) {
            Some(pinned) => Some(*pinned),
            None if waits => self.present(stack, environment),
            None => self.stacks[stack].newest(),
        };
        revision.map_or_else(|| kept("hold"), |revision| format!("apply {revision}"))
    }

    /// The broker decides about the losses: agents that nothing selects any more lose what they hold, unless it is suspended.
    pub(super) fn lose(&mut self) {
        let lost = |(stack, agent): &(usize, usize)| self.told(*stack, *agent) == LOSS;
        let lost: Vec<_> = self.heard.keys().copied().filter(lost).collect();
        self.heard.extend(lost.into_iter().map(|pair| (pair, Heard::Lost)));
    }

    /// The stable revision.
    pub(super) fn present(&self, stack: usize, environment: Option<usize>) -> Option<u64> {
        self.stable.get(&(stack, environment)).and_then(|all| all.last().copied())
    }

    pub(super) fn release(&mut self, stack: usize, environment: Option<usize>, revision: u64) {
        self.stable.entry((stack, environment)).or_default().push(revision);
    }

    /// The newest revision becomes stable where none is.
    pub(super) fn keep_present(&mut self, stack: usize, environment: Option<usize>) {
        if self.present(stack, environment).is_none()
            && let Some(newest) = self.stacks[stack].newest()
        {
            self.release(stack, environment, newest);
        }
    }

    /// The agent has polled.
    pub(super) fn polled(&mut self, agent: usize) {
        for stack in 0..STACKS {
            if self.told(stack, agent).starts_with("apply") {
                self.heard.insert((stack, agent), Heard::Listed);
            }
        }
    }

    /// The agent has removed what it was told to remove.
    pub(super) fn removed(&mut self, agent: usize) -> Vec<usize> {
        let told: Vec<usize> = (0..STACKS).filter(|stack| self.told(*stack, agent).starts_with("remove")).collect();
        self.heard.retain(|(stack, of), _| *of != agent || !told.contains(stack));
        told
    }
}
