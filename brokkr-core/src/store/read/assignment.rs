//! Reading assignments.

use async_trait::async_trait;

use crate::model::{AgentId, Assignment, StackId};
use crate::store::{Scope, StoreResult};

/// Reads assignments, whatever their state.
#[async_trait]
pub trait AssignmentReader {
    /// Those of an agent with the given stacks, in any order.
    async fn assignment_find(&self, scope: &Scope, agent: AgentId, stacks: &[StackId]) -> StoreResult<Vec<Assignment>>;

    /// Those of a stack, by agent. Their number is bounded by that of the agents.
    async fn assignment_of_stack(&self, scope: &Scope, stack: StackId) -> StoreResult<Vec<Assignment>>;
}
