//! Reads of agents.

use std::collections::BTreeSet;

use async_trait::async_trait;
use brokkr_core::model::{AgentId, AgentSession, Timestamp};
use brokkr_core::store::{AgentReader, Scope, StoreResult};
use sqlx::types::Json;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{scoped, sees_agent, statements, unwrapped};

statements! {
    SESSION = concat!("SELECT to_jsonb(s) FROM brokkr.agent_session s JOIN brokkr.agent t ON t.id = s.agent_id
        WHERE s.agent_id = $4 AND t.deleted_at IS NULL AND ", sees_agent!());
    CAPABILITIES = concat!("SELECT jsonb_build_array(s.agent_id, s.capabilities) FROM brokkr.agent_session s
        JOIN brokkr.agent t ON t.id = s.agent_id WHERE s.agent_id = ANY ($4::uuid[]) AND t.deleted_at IS NULL AND ", sees_agent!());
    LAST_SEEN = concat!("SELECT jsonb_build_array(a.agent_id, a.seen_at) FROM brokkr.agent_activity a
        JOIN brokkr.agent t ON t.id = a.agent_id WHERE a.agent_id = ANY ($4::uuid[]) AND t.deleted_at IS NULL AND ", sees_agent!());
}

#[async_trait]
impl AgentReader for PostgresStore {
    async fn agent_session(&self, scope: &Scope, id: AgentId) -> StoreResult<Option<AgentSession>> {
        let row = scoped(SESSION, scope).bind(id.as_uuid()).fetch_optional(&self.database).await.map_err(meaning)?;
        Ok(row.map(|Json(session)| session))
    }

    async fn agent_capabilities(
        &self,
        scope: &Scope,
        ids: &[AgentId],
    ) -> StoreResult<Vec<(AgentId, BTreeSet<String>)>> {
        let ids: Vec<Uuid> = ids.iter().map(AgentId::as_uuid).collect();
        Ok(unwrapped(scoped(CAPABILITIES, scope).bind(ids).fetch_all(&self.database).await.map_err(meaning)?))
    }

    async fn agent_last_seen(&self, scope: &Scope, ids: &[AgentId]) -> StoreResult<Vec<(AgentId, Timestamp)>> {
        let ids: Vec<Uuid> = ids.iter().map(AgentId::as_uuid).collect();
        Ok(unwrapped(scoped(LAST_SEEN, scope).bind(ids).fetch_all(&self.database).await.map_err(meaning)?))
    }
}
