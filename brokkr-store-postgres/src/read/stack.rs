//! Reading stacks.

use async_trait::async_trait;
use brokkr_core::model::{GeneratorId, Name, Stack, StackId};
use brokkr_core::store::{Listing, Page, Scope, StackFilter, StackReader, StoreResult};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{found, one_more, requirements, scoped, sees_stack, statements, unwrapped};

macro_rules! sees {
    () => {
        sees_stack!("t.id", "t.generator_id")
    };
}

statements! {
    GET = concat!("SELECT to_jsonb(t) FROM brokkr.stack t WHERE t.id = $4 AND t.deleted_at IS NULL AND ", sees!());
    BY_NAME = concat!("SELECT to_jsonb(t) FROM brokkr.stack t
        WHERE t.generator_id = $4 AND t.name = $5 AND t.deleted_at IS NULL AND ", sees!());
    LIST = concat!("SELECT to_jsonb(t) FROM brokkr.stack t WHERE t.id > $4 AND t.deleted_at IS NULL
        AND ($5::uuid IS NULL OR t.generator_id = $5) AND ($6::text IS NULL OR t.name = $6)
        AND ($7::jsonb = '[]' OR brokkr.labels_fit(t.labels, $7)) AND ", sees!(), " ORDER BY t.id LIMIT $8");
    FIND = concat!("SELECT to_jsonb(t) FROM brokkr.stack t WHERE t.id = ANY ($4::uuid[]) AND ", sees!());
}

#[async_trait]
impl StackReader for PostgresStore {
    async fn stack_get(&self, scope: &Scope, id: StackId) -> StoreResult<Stack> {
        found(scoped(GET, scope).bind(id.as_uuid()).fetch_optional(&self.database).await.map_err(meaning)?)
    }

    async fn stack_by_name(&self, scope: &Scope, generator: GeneratorId, name: &Name) -> StoreResult<Stack> {
        let query = scoped(BY_NAME, scope).bind(generator.as_uuid()).bind(name.as_str().to_owned());
        found(query.fetch_optional(&self.database).await.map_err(meaning)?)
    }

    async fn stack_list(
        &self,
        scope: &Scope,
        filter: &StackFilter,
        page: &Page<StackId>,
    ) -> StoreResult<Listing<Stack, StackId>> {
        let query = scoped(LIST, scope)
            .bind(page.after.map_or(Uuid::nil(), |id| id.as_uuid()))
            .bind(filter.generator.map(|id| id.as_uuid()))
            .bind(filter.name.as_ref().map(|name| name.as_str().to_owned()))
            .bind(requirements(&filter.labels))
            .bind(one_more(page.limit));
        let rows = unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?);
        Ok(Listing::collect(rows.into_iter(), page.limit, |it: &Stack| it.id))
    }

    async fn stack_find_with_tombstones(&self, scope: &Scope, ids: &[StackId]) -> StoreResult<Vec<Stack>> {
        let ids: Vec<Uuid> = ids.iter().map(StackId::as_uuid).collect();
        Ok(unwrapped(scoped(FIND, scope).bind(ids).fetch_all(&self.database).await.map_err(meaning)?))
    }
}
