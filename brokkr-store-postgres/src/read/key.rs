//! Reads of API keys.

use async_trait::async_trait;
use brokkr_core::model::{ApiKey, KeyId, KeyOwner, Timestamp};
use brokkr_core::store::{KeyReader, Listing, Page, Scope, StoreResult};
use sqlx::types::Json;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{one_more, scoped, sees_key, statements, unwrapped};

statements! {
    LIST = concat!("SELECT to_jsonb(t) FROM brokkr.api_key t
        WHERE t.owner::jsonb = ANY ($4::jsonb[]) AND t.id > $5 AND t.deleted_at IS NULL AND ", sees_key!(), " ORDER BY t.id LIMIT $6");
    LAST_USED = concat!("SELECT jsonb_build_array(a.key_id, a.used_at) FROM brokkr.key_activity a
        JOIN brokkr.api_key t ON t.id = a.key_id WHERE a.key_id = ANY ($4::uuid[]) AND ", sees_key!());
}

#[async_trait]
impl KeyReader for PostgresStore {
    async fn key_list(
        &self,
        scope: &Scope,
        owners: &[KeyOwner],
        page: &Page<KeyId>,
    ) -> StoreResult<Listing<ApiKey, KeyId>> {
        let owners: Vec<Json<KeyOwner>> = owners.iter().copied().map(Json).collect();
        let after = page.after.map_or(Uuid::nil(), |id| id.as_uuid());
        let query = scoped(LIST, scope).bind(owners).bind(after).bind(one_more(page.limit));
        let rows = unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?);
        Ok(Listing::collect(rows.into_iter(), page.limit, |it: &ApiKey| it.id))
    }

    async fn key_last_used(&self, scope: &Scope, ids: &[KeyId]) -> StoreResult<Vec<(KeyId, Timestamp)>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        Ok(unwrapped(scoped(LAST_USED, scope).bind(ids).fetch_all(&self.database).await.map_err(meaning)?))
    }
}
