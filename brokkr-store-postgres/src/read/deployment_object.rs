//! Reads of deployment objects.

use async_trait::async_trait;
use brokkr_core::model::{DeploymentObject, DeploymentObjectId, Revision, StackId};
use brokkr_core::store::{DeploymentObjectReader, Listing, Page, Scope, StoreError, StoreExt as _, StoreResult};
use bytes::Bytes;
use sqlx::types::Json;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{found, one_more, scoped, sees_stack, statements, unwrapped};

macro_rules! sees {
    () => {
        concat!("s.deleted_at IS NULL AND ", sees_stack!("s.id", "s.generator_id"))
    };
}

statements! {
    CONTENT = "SELECT bytes FROM brokkr.content WHERE digest = $1";
    /// Selects one row if the stack exists, with its newest deployment object or null.
    LATEST = concat!("SELECT coalesce(to_jsonb(o), 'null') FROM brokkr.stack s LEFT JOIN LATERAL (
            SELECT * FROM brokkr.deployment_object o WHERE o.stack_id = s.id ORDER BY o.revision DESC LIMIT 1) o ON true
        WHERE s.id = $4 AND ", sees!());
    BY_REVISION = concat!("SELECT to_jsonb(o) FROM brokkr.deployment_object o JOIN brokkr.stack s ON s.id = o.stack_id
        WHERE o.stack_id = $4 AND o.revision = $5 AND ", sees!());
    LIST = concat!("SELECT to_jsonb(o) FROM brokkr.deployment_object o JOIN brokkr.stack s ON s.id = o.stack_id
        WHERE o.stack_id = $4 AND o.revision < $5 AND ", sees!(), " ORDER BY o.revision DESC LIMIT $6");
}

fn number(revision: Revision) -> i64 {
    i64::try_from(revision.get()).unwrap_or(i64::MAX)
}

#[async_trait]
impl DeploymentObjectReader for PostgresStore {
    async fn deployment_object_content(
        &self,
        scope: &Scope,
        id: DeploymentObjectId,
    ) -> StoreResult<(DeploymentObject, Bytes)> {
        let object = self.get::<DeploymentObject>(scope, id).await?;
        let query = sqlx::query_scalar(CONTENT).bind(object.digest.to_string());
        let bytes: Vec<u8> = query.fetch_one(&self.database).await.map_err(meaning)?;
        Ok((object, bytes.into()))
    }

    async fn deployment_object_latest(&self, scope: &Scope, stack: StackId) -> StoreResult<Option<DeploymentObject>> {
        let query = scoped::<Option<DeploymentObject>>(LATEST, scope).bind(stack.as_uuid());
        let row: Option<Json<Option<DeploymentObject>>> =
            query.fetch_optional(&self.database).await.map_err(meaning)?;
        found(row)
    }

    async fn deployment_object_by_revision(
        &self,
        scope: &Scope,
        stack: StackId,
        revision: Revision,
    ) -> StoreResult<DeploymentObject> {
        let query = scoped(BY_REVISION, scope).bind(stack.as_uuid()).bind(number(revision));
        found(query.fetch_optional(&self.database).await.map_err(meaning)?)
    }

    async fn deployment_object_list(
        &self,
        scope: &Scope,
        stack: StackId,
        page: &Page<Revision>,
    ) -> StoreResult<Listing<DeploymentObject, Revision>> {
        let query = scoped(LIST, scope)
            .bind(stack.as_uuid())
            .bind(page.after.map_or(i64::MAX, number))
            .bind(one_more(page.limit));
        let rows = unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?);
        if rows.is_empty() && self.deployment_object_latest(scope, stack).await.is_err() {
            return Err(StoreError::NotFound);
        }
        Ok(Listing::collect(rows.into_iter(), page.limit, |it: &DeploymentObject| it.revision))
    }
}
