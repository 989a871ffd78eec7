//! Reads of assignments.

use async_trait::async_trait;
use brokkr_core::model::{AgentId, Assignment, StackId};
use brokkr_core::store::{AssignmentReader, Scope, StoreResult};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{scoped, sees_pair, statements, unwrapped};

macro_rules! sees {
    () => {
        sees_pair!("t.stack_id", "t.generator_id", "t.agent_id")
    };
}

statements! {
    FIND = concat!("SELECT to_jsonb(t) FROM brokkr.assignment t
        WHERE t.agent_id = $4 AND t.stack_id = ANY ($5::uuid[]) AND ", sees!());
    OF_STACK = concat!("SELECT to_jsonb(t) FROM brokkr.assignment t WHERE t.stack_id = $4 AND ", sees!(), " ORDER BY t.agent_id");
}

#[async_trait]
impl AssignmentReader for PostgresStore {
    async fn assignment_find(&self, scope: &Scope, agent: AgentId, stacks: &[StackId]) -> StoreResult<Vec<Assignment>> {
        let stacks: Vec<Uuid> = stacks.iter().map(StackId::as_uuid).collect();
        let query = scoped(FIND, scope).bind(agent.as_uuid()).bind(stacks);
        Ok(unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?))
    }

    async fn assignment_of_stack(&self, scope: &Scope, stack: StackId) -> StoreResult<Vec<Assignment>> {
        let query = scoped(OF_STACK, scope).bind(stack.as_uuid());
        Ok(unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?))
    }
}
