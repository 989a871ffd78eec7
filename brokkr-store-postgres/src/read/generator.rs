//! Reading generators.

use async_trait::async_trait;
use brokkr_core::model::{GeneratorId, GeneratorPrincipal};
use brokkr_core::store::{GeneratorReader, Listing, Page, Scope, StoreResult};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{found, one_more, scoped, statements, unwrapped};

macro_rules! sees {
    () => {
        "($1::int4 = 0 OR ($1 = 1 AND t.id = $2::uuid) OR ($1 = 2 AND t.id = ANY ('{}'::uuid[]) AND $3::uuid[] IS NOT NULL))"
    };
}

statements! {
    GET = concat!("SELECT to_jsonb(t) FROM brokkr.generator t WHERE t.id = $4 AND t.deleted_at IS NULL AND ", sees!());
    LIST = concat!("SELECT to_jsonb(t) FROM brokkr.generator t WHERE t.id > $4 AND t.deleted_at IS NULL AND ", sees!(),
        " ORDER BY t.id LIMIT $5");
}

#[async_trait]
impl GeneratorReader for PostgresStore {
    async fn generator_get(&self, scope: &Scope, id: GeneratorId) -> StoreResult<GeneratorPrincipal> {
        found(scoped(GET, scope).bind(id.as_uuid()).fetch_optional(&self.database).await.map_err(meaning)?)
    }

    async fn generator_list(
        &self,
        scope: &Scope,
        page: &Page<GeneratorId>,
    ) -> StoreResult<Listing<GeneratorPrincipal, GeneratorId>> {
        let after = page.after.map_or(Uuid::nil(), |id| id.as_uuid());
        let rows = scoped(LIST, scope).bind(after).bind(one_more(page.limit)).fetch_all(&self.database).await;
        Ok(Listing::collect(unwrapped(rows.map_err(meaning)?).into_iter(), page.limit, |it: &GeneratorPrincipal| it.id))
    }
}
