//! What a change of an agent or a generator would give to agents, and take from them.

use std::sync::Arc;

use brokkr_core::model::{Agent, AgentId, GeneratorPrincipal, Stack, StackId};
use brokkr_core::targeting::Verdict;
use uuid::Uuid;

use crate::view::FleetView;
use crate::view::decide::verdict;
use crate::view::pair::{Pair, PairOf};

/// Entries that are looked at under one acquisition of the view's lock.
const LOOKED_AT: usize = 256;
/// Entries that are looked at for one page. A page may be short, or empty, because it ends there.
const LOOKED_AT_PER_PAGE: usize = 10_240;

/// A pair that would change.
pub(crate) struct ChangedPair {
    pub(crate) stack: Arc<Stack>,
    pub(crate) agent: Arc<Agent>,
    /// Whether the agent would get the stack; otherwise it would lose it.
    pub(crate) gains: bool,
    pub(crate) verdict: Verdict,
}

/// A pair in the order of pages: the pairs after it are the rest.
pub(crate) type Place = (StackId, AgentId);

/// The pairs of a page that change, and the place to continue from.
type Page = (Vec<ChangedPair>, Option<Place>);

fn before_all_agents() -> AgentId {
    AgentId::from_uuid(Uuid::nil())
}

impl FleetView {
    /// The pairs of an agent that would change if it were `after`, at most `count` of them.
    pub(crate) fn impact_of_agent(
        &self,
        after: &Agent,
        from: Option<Place>,
        count: usize,
        is_seen: impl Fn(&Stack) -> bool,
    ) -> Page {
        let (mut changed, mut from) = (Vec::new(), from.map(|place| place.0));
        for _ in 0..LOOKED_AT_PER_PAGE / LOOKED_AT {
            let (pairs, last) = self.read().pairs_of_agent_after(after.id, from, LOOKED_AT, &is_seen);
            let effects = pairs.into_iter().filter_map(|pair| {
                let owner = pair.owner.clone();
                self.effect(pair, owner.as_deref(), Some(after))
            });
            changed.extend(effects);
            from = last;
            if from.is_none() || changed.len() > count {
                break;
            }
        }
        page(changed, from.map(|stack| (stack, after.id)), count)
    }

    /// The pairs of a generator's stacks and the agents that `is_seen` accepts that would change if the generator were `after`,
    /// at most `count` of them.
    pub(crate) fn impact_of_generator(
        &self,
        after: &GeneratorPrincipal,
        from: Option<Place>,
        count: usize,
        is_seen: impl Fn(&Agent) -> bool,
    ) -> Page {
        let first = || Some((self.read().stack_of_after(after.id, None)?, before_all_agents()));
        let (mut changed, mut from) = (Vec::new(), from.or_else(first));
        for _ in 0..LOOKED_AT_PER_PAGE / LOOKED_AT {
            let Some((stack, agent)) = from.filter(|_| changed.len() <= count) else { break };
            let state = self.read();
            let (pairs, last) = state.pairs_of_stack_after(stack, Some(agent), LOOKED_AT, &is_seen);
            from = match last {
                Some(agent) => Some((stack, agent)),
                None => state.stack_of_after(after.id, Some(stack)).map(|next| (next, before_all_agents())),
            };
            drop(state);
            changed.extend(pairs.into_iter().filter_map(|pair| self.effect(pair, Some(after), None)));
        }
        page(changed, from, count)
    }

    /// What becomes of a pair with another owner or agent. `None`: it stays as it is, also if the policy fails.
    fn effect(&self, it: PairOf, owner: Option<&GeneratorPrincipal>, agent: Option<&Agent>) -> Option<ChangedPair> {
        let changed = agent.unwrap_or(&it.agent);
        let verdict = verdict(&*self.policy, owner, &it.stack, changed, it.pair.direct).ok()?;
        let was = it.pair.is_placed(it.agent.status);
        let gains = Pair { matched: verdict.matched, ..it.pair }.is_placed(changed.status);
        (was != gains).then_some(ChangedPair { stack: it.stack, agent: it.agent, gains, verdict })
    }
}

/// The first `count` pairs. The next page continues after the last one of them, or at `rest` if there are no more.
fn page(mut changed: Vec<ChangedPair>, rest: Option<Place>, count: usize) -> Page {
    if changed.len() <= count {
        return (changed, rest);
    }
    changed.truncate(count);
    let next = changed.last().map(|it| (it.stack.id, it.agent.id));
    (changed, next)
}
