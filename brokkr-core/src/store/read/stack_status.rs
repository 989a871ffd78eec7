//! Reads of stack statuses.

use async_trait::async_trait;

use crate::model::{AgentId, StackId, StackProgress, StackStatus};
use crate::store::{Scope, StoreResult};

/// Reads stack statuses.
#[async_trait]
pub trait StackStatusReader {
    /// Reads the statuses of the given stacks on one agent, in any order.
    async fn stack_status_find(
        &self,
        scope: &Scope,
        agent: AgentId,
        stacks: &[StackId],
    ) -> StoreResult<Vec<StackStatus>>;

    /// Reads the statuses of one stack on the given agents, in any order.
    async fn stack_status_of_stack(
        &self,
        scope: &Scope,
        stack: StackId,
        agents: &[AgentId],
    ) -> StoreResult<Vec<StackStatus>>;

    /// Reads the progress of a stack on every agent that reported a status of it, in any order. There is at most one
    /// entry per agent.
    async fn stack_progress(&self, scope: &Scope, stack: StackId) -> StoreResult<Vec<StackProgress>>;
}
