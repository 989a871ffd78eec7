//! Ends assignments whose pair no longer matches.

use brokkr_core::model::{
    Agent, AgentId, AgentStatus, Assignment, AssignmentState, Change, EntityKey, Stack, StackId, Target,
};
use brokkr_core::store::{Precondition, Scope, StoreError, StoreExt as _};

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::commit::decide::Decision;
use crate::error::{BrokerError, BrokerResult};

/// One stack and agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LostPair {
    /// The stack.
    pub(crate) stack: StackId,
    /// The agent.
    pub(crate) agent: AgentId,
}

/// A pair with what its verdict depends on, as read from the store.
struct PairNow {
    stack: Stack,
    agent: Agent,
    target: Option<Target>,
    assignment: Option<Assignment>,
}

impl PairNow {
    /// The conditions under which the verdict stays the same.
    fn preconditions(&self) -> impl Iterator<Item = Precondition> {
        let pair = (self.stack.id, self.agent.id);
        let target = self.target.iter().map(move |it| (EntityKey::Target(pair.0, pair.1), it.version));
        [(EntityKey::Stack(pair.0), self.stack.version), (EntityKey::Agent(pair.1), self.agent.version)]
            .into_iter()
            .chain(target)
            .map(|(key, version)| Precondition::Version(key, version))
    }
}

impl Broker {
    /// Marks the assignments of these pairs as lost, in one commit. Checks each pair once more on the stored state: whatever
    /// matches again, is an explicit order meanwhile, is suspended, or cannot be evaluated keeps its assignment.
    pub(crate) async fn end_lost_assignments(&self, actor: &Actor, pairs: &[LostPair]) -> BrokerResult<()> {
        self.decide(actor, "assignment.lost", None, || async {
            let now = self.now();
            let (mut changes, mut preconditions) = (Vec::new(), Vec::new());
            for pair in pairs {
                let Some(read) = self.pair_now(*pair).await? else { continue };
                let direct = read.target.as_ref().is_some_and(|it| it.deleted_at.is_none());
                let is_suspended = read.stack.suspended.is_some() || read.agent.suspended.is_some();
                let stays = !read.stack.is_active()
                    || is_suspended
                    || read.agent.status == AgentStatus::Retired
                    || self.parts.view.may_match(&read.stack, &read.agent, direct);
                if stays {
                    continue;
                }
                for condition in read.preconditions() {
                    if !preconditions.contains(&condition) {
                        preconditions.push(condition);
                    }
                }
                let listed = read.assignment.filter(|it| it.state == AssignmentState::Listed);
                changes.extend(listed.map(|it| {
                    let version = it.version.next();
                    Change::Assignment(Assignment { state: AssignmentState::Lost, version, updated_at: now, ..it })
                }));
            }
            let count = changes.len();
            let mut decision = Decision::commit((), changes).detail(format!("{count} assignments"));
            decision.object =
                pairs.first().filter(|_| pairs.len() == 1).map(|it| EntityKey::Assignment(it.stack, it.agent));
            decision.preconditions = preconditions;
            Ok(decision)
        })
        .await
    }

    async fn pair_now(&self, pair: LostPair) -> BrokerResult<Option<PairNow>> {
        let store = &self.parts.store;
        let Some(stack) = found(store.get::<Stack>(&Scope::All, pair.stack).await)? else { return Ok(None) };
        let Some(agent) = found(store.get::<Agent>(&Scope::All, pair.agent).await)? else { return Ok(None) };
        let target = store.target_find(&Scope::All, pair.stack, pair.agent).await?;
        let assignment = store.assignment_find(&Scope::All, pair.agent, &[pair.stack]).await?.into_iter().next();
        Ok(Some(PairNow { stack, agent, target, assignment }))
    }
}

fn found<T>(result: Result<T, StoreError>) -> Result<Option<T>, BrokerError> {
    match result {
        Err(StoreError::NotFound) => Ok(None),
        result => Ok(Some(result?)),
    }
}
