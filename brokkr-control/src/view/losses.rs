//! Pairs that are listed although they no longer match.

use brokkr_core::model::{AgentId, StackId};

use crate::view::decide::verdict;
use crate::view::{FleetView, PairOf};

impl FleetView {
    /// The pairs of an agent that are listed although they no longer match: nobody has decided yet about the loss.
    pub(crate) fn undecided_of_agent(&self, id: AgentId) -> Vec<PairOf> {
        self.read().pairs_of_agent(id).into_iter().filter(PairOf::is_undecided).collect()
    }

    /// The pairs of a stack that are listed although they no longer match.
    pub(crate) fn undecided_of_stack(&self, id: StackId) -> Vec<PairOf> {
        self.read().pairs_of_stack(id).into_iter().filter(PairOf::is_undecided).collect()
    }

    /// Whether the policy matches a pair; `None` if the policy fails. Holds no lock.
    pub(crate) fn matches(&self, of: &PairOf) -> Option<bool> {
        let verdict = verdict(&*self.policy, of.owner.as_deref(), &of.stack, &of.agent, of.pair.direct);
        verdict.ok().map(|verdict| verdict.matched)
    }
}
