//! Reads of direct targets.

use async_trait::async_trait;
use brokkr_core::model::{AgentId, Name, StackId, Target};
use brokkr_core::store::{Listing, Page, Scope, StoreResult, TargetReader};
use sqlx::types::Json;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{one_more, scoped, sees_pair, statements, unwrapped};

macro_rules! sees {
    () => {
        sees_pair!("t.stack_id", "t.generator_id", "t.agent_id")
    };
}

statements! {
    FIND = concat!("SELECT to_jsonb(t) FROM brokkr.target t WHERE t.stack_id = $4 AND t.agent_id = $5 AND ", sees!());
    LIST = concat!("SELECT to_jsonb(t) FROM brokkr.target t
        WHERE t.stack_id = $4 AND t.agent_id > $5 AND t.deleted_at IS NULL AND ($7::text IS NULL OR EXISTS (
            SELECT FROM brokkr.agent a WHERE a.id = t.agent_id AND a.environment = $7 AND a.deleted_at IS NULL)) AND ", sees!(), " ORDER BY t.agent_id LIMIT $6");
}

#[async_trait]
impl TargetReader for PostgresStore {
    async fn target_find(&self, scope: &Scope, stack: StackId, agent: AgentId) -> StoreResult<Option<Target>> {
        let query = scoped(FIND, scope).bind(stack.as_uuid()).bind(agent.as_uuid());
        Ok(query.fetch_optional(&self.database).await.map_err(meaning)?.map(|Json(target)| target))
    }

    async fn target_list(
        &self,
        scope: &Scope,
        stack: StackId,
        environment: Option<&Name>,
        page: &Page<AgentId>,
    ) -> StoreResult<Listing<Target, AgentId>> {
        let after = page.after.map_or(Uuid::nil(), |id| id.as_uuid());
        let query = scoped(LIST, scope).bind(stack.as_uuid()).bind(after).bind(one_more(page.limit));
        let query = query.bind(environment.map(|name| name.as_str().to_owned()));
        let rows = unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?);
        Ok(Listing::collect(rows.into_iter(), page.limit, |it: &Target| it.agent_id))
    }
}
