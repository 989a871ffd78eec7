//! Reads of assignments.

use async_trait::async_trait;

use crate::model::{AgentId, Assignment, StackId};
use crate::store::{Scope, StoreResult};

/// Reads assignments in any state.
#[async_trait]
pub trait AssignmentReader {
    /// Reads the assignments of an agent with the given stacks, in any order.
    async fn assignment_find(&self, scope: &Scope, agent: AgentId, stacks: &[StackId]) -> StoreResult<Vec<Assignment>>;

    /// Reads all assignments of a stack, ordered by agent. There is at most one per agent.
    async fn assignment_of_stack(&self, scope: &Scope, stack: StackId) -> StoreResult<Vec<Assignment>>;
}
