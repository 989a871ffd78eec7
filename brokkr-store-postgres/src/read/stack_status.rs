//! Reads of stack statuses.

use async_trait::async_trait;
use brokkr_core::model::{AgentId, StackId, StackProgress, StackStatus};
use brokkr_core::store::{Scope, StackStatusReader, StoreResult};
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
    FIND = concat!("SELECT to_jsonb(t) FROM brokkr.stack_status t
        WHERE t.agent_id = $4 AND t.stack_id = ANY ($5::uuid[]) AND ", sees!());
    OF_STACK = concat!("SELECT to_jsonb(t) FROM brokkr.stack_status t
        WHERE t.stack_id = $4 AND t.agent_id = ANY ($5::uuid[]) AND ", sees!());
    PROGRESS = concat!("SELECT jsonb_build_object('agent_id', t.agent_id, 'applied_revision', t.applied_revision,
            'has_failed', t.last_error IS NOT NULL)
        FROM brokkr.stack_status t WHERE t.stack_id = $4 AND ", sees!());
}

#[async_trait]
impl StackStatusReader for PostgresStore {
    async fn stack_status_find(
        &self,
        scope: &Scope,
        agent: AgentId,
        stacks: &[StackId],
    ) -> StoreResult<Vec<StackStatus>> {
        let stacks: Vec<Uuid> = stacks.iter().map(StackId::as_uuid).collect();
        let query = scoped(FIND, scope).bind(agent.as_uuid()).bind(stacks);
        Ok(unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?))
    }

    async fn stack_status_of_stack(
        &self,
        scope: &Scope,
        stack: StackId,
        agents: &[AgentId],
    ) -> StoreResult<Vec<StackStatus>> {
        let agents: Vec<Uuid> = agents.iter().map(AgentId::as_uuid).collect();
        let query = scoped(OF_STACK, scope).bind(stack.as_uuid()).bind(agents);
        Ok(unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?))
    }

    async fn stack_progress(&self, scope: &Scope, stack: StackId) -> StoreResult<Vec<StackProgress>> {
        let query = scoped(PROGRESS, scope).bind(stack.as_uuid());
        Ok(unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?))
    }
}
