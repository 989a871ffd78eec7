//! Reading what agents said of stacks.

use async_trait::async_trait;

use crate::model::{AgentId, StackId, StackProgress, StackStatus};
use crate::store::{Scope, StoreResult};

/// Reads stack statuses.
#[async_trait]
pub trait StackStatusReader {
    /// Those of an agent for the given stacks, in any order.
    async fn stack_status_find(
        &self,
        scope: &Scope,
        agent: AgentId,
        stacks: &[StackId],
    ) -> StoreResult<Vec<StackStatus>>;

    /// Those of a stack on the given agents, in any order.
    async fn stack_status_of_stack(
        &self,
        scope: &Scope,
        stack: StackId,
        agents: &[AgentId],
    ) -> StoreResult<Vec<StackStatus>>;

    /// How far all agents of a stack are that said something of it, in any order. Their number is bounded by that of the agents.
    async fn stack_progress(&self, scope: &Scope, stack: StackId) -> StoreResult<Vec<StackProgress>>;
}
