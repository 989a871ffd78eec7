//! Reads of stacks.

use async_trait::async_trait;
use brokkr_core::model::{GeneratorId, Name, Stack, StackId};
use brokkr_core::store::{Scope, StackReader, StoreResult};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{found, scoped, sees_stack, statements, unwrapped};

macro_rules! sees {
    () => {
        sees_stack!("t.id", "t.generator_id")
    };
}

statements! {
    BY_NAME = concat!("SELECT to_jsonb(t) FROM brokkr.stack t
        WHERE t.generator_id = $4 AND t.name = $5 AND t.deleted_at IS NULL AND ", sees!());
    FIND = concat!("SELECT to_jsonb(t) FROM brokkr.stack t WHERE t.id = ANY ($4::uuid[]) AND ", sees!());
}

#[async_trait]
impl StackReader for PostgresStore {
    async fn stack_by_name(&self, scope: &Scope, generator: GeneratorId, name: &Name) -> StoreResult<Stack> {
        let query = scoped(BY_NAME, scope).bind(generator.as_uuid()).bind(name.as_str().to_owned());
        found(query.fetch_optional(&self.database).await.map_err(meaning)?)
    }

    async fn stack_find_with_tombstones(&self, scope: &Scope, ids: &[StackId]) -> StoreResult<Vec<Stack>> {
        let ids: Vec<Uuid> = ids.iter().map(StackId::as_uuid).collect();
        Ok(unwrapped(scoped(FIND, scope).bind(ids).fetch_all(&self.database).await.map_err(meaning)?))
    }
}
