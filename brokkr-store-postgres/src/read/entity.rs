//! Reads of entities of any kind.

use async_trait::async_trait;
use brokkr_core::model::{Change, EntityKey, EntityKind, Storage, Version};
use brokkr_core::store::{EntityQuery, EntityReader, Listing, Page, Scope, StoreError, StoreResult};
use serde_json::Value;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{
    agent_row, found, one_more, requirements, scoped, sees_agent, sees_key, sees_stack, statements, unwrapped,
};
use crate::view::change;

macro_rules! sees_generator {
    () => {
        "($1::int4 = 0 OR ($1 = 1 AND t.id = $2::uuid) OR ($1 = 3 AND ($2 IS NULL OR t.id = $2)) OR ($1 = 2 AND t.id = ANY ('{}'::uuid[]) AND $3::uuid[] IS NOT NULL))"
    };
}

/// Only admins see documents without an owner.
macro_rules! sees_document {
    () => {
        "($1::int4 = 0 OR ($1 = 1 AND t.generator_id = $2::uuid) OR ($1 = 3 AND ($2 IS NULL OR t.generator_id = $2)) OR ($1 = 2 AND t.id = ANY ('{}'::uuid[]) AND $3::uuid[] IS NOT NULL))"
    };
}

/// Selects one living row by id.
macro_rules! get {
    ($row:expr, $table:literal, $sees:expr) => {
        concat!("SELECT ", $row, " FROM brokkr.", $table, " t WHERE t.id = $4 AND t.deleted_at IS NULL AND ", $sees)
    };
}

/// Selects a page of living rows: `$4` is the last id of the previous page, `$5` a generator, `$6` a name, `$7` label
/// requirements, `$8` an environment, `$9` the limit.
macro_rules! list {
    ($row:expr, $table:literal, $of_generator:literal, $labels:literal, $environment:literal, $sees:expr) => {
        concat!(
            "SELECT ",
            $row,
            " FROM brokkr.",
            $table,
            " t WHERE t.id > $4 AND t.deleted_at IS NULL
            AND ($5::uuid IS NULL OR ",
            $of_generator,
            ") AND ($6::text IS NULL OR t.name = $6)
            AND ($7::jsonb = '[]' OR brokkr.labels_fit(",
            $labels,
            ", $7)) AND ",
            $environment,
            " AND ",
            $sees
        )
    };
}

statements! {
    GET_GENERATOR = get!("to_jsonb(t)", "generator", sees_generator!());
    GET_AGENT = get!(agent_row!(), "agent", sees_agent!());
    GET_KEY = get!("to_jsonb(t)", "api_key", sees_key!());
    GET_STACK = get!("to_jsonb(t)", "stack", sees_stack!("t.id", "t.generator_id"));
    /// Deployment objects of a deleted stack are visible in the scope of everything only.
    GET_DEPLOYMENT_OBJECT = concat!("SELECT to_jsonb(o) FROM brokkr.deployment_object o JOIN brokkr.stack s ON s.id = o.stack_id
        WHERE o.id = $4 AND ($1::int4 = 0 OR (s.deleted_at IS NULL AND ", sees_stack!("s.id", "s.generator_id"), "))");
    GET_DOCUMENT = concat!(get!("t.body", "document", sees_document!()), " AND t.kind = $5");
    /// Also of a tombstone.
    DOCUMENT_VERSION = "SELECT version FROM brokkr.document WHERE id = $1 AND kind = $2";
    LIST_GENERATORS = concat!(list!("to_jsonb(t)", "generator", "t.id = $5", "'{}'", "$8::text IS NULL", sees_generator!()), " ORDER BY t.id LIMIT $9");
    LIST_AGENTS = concat!(list!(agent_row!(), "agent",
        "EXISTS (SELECT FROM brokkr.agent_registration r WHERE r.agent_id = t.id AND r.generator_id = $5)", "t.labels", "$8::text IS NULL",
        sees_agent!()), " ORDER BY t.id LIMIT $9");
    LIST_AGENTS_OF_ENVIRONMENT = concat!(list!(agent_row!(), "agent",
        "EXISTS (SELECT FROM brokkr.agent_registration r WHERE r.agent_id = t.id AND r.generator_id = $5)", "t.labels",
        "t.environment = $8::text", sees_agent!()), " ORDER BY t.id LIMIT $9");
    LIST_KEYS = concat!(list!("to_jsonb(t)", "api_key", "t.generator_id = $5", "'{}'", "$8::text IS NULL", sees_key!()), " ORDER BY t.id LIMIT $9");
    LIST_STACKS = concat!(list!("to_jsonb(t)", "stack", "t.generator_id = $5", "t.labels", "$8::text IS NULL",
        sees_stack!("t.id", "t.generator_id")), " ORDER BY t.id LIMIT $9");
    LIST_DOCUMENTS = concat!(list!("t.body", "document", "t.generator_id = $5", "t.labels",
        "($8::text IS NULL OR t.body ->> 'environment' = $8)", sees_document!()), " AND t.kind = $10 ORDER BY t.id LIMIT $9");
}

#[async_trait]
impl EntityReader for PostgresStore {
    async fn entity_get(&self, scope: &Scope, key: EntityKey) -> StoreResult<Change> {
        let statement = match key {
            EntityKey::Generator(_) => GET_GENERATOR,
            EntityKey::Agent(_) => GET_AGENT,
            EntityKey::Key(_) => GET_KEY,
            EntityKey::Stack(_) => GET_STACK,
            EntityKey::DeploymentObject(_) => GET_DEPLOYMENT_OBJECT,
            other if other.kind().storage() == Storage::Document => GET_DOCUMENT,
            _ => return Err(StoreError::Malformed("entities of this kind have their own reader")),
        };
        let kind = key.kind().to_string();
        let query = scoped::<Value>(statement, scope).bind(key.ids().0);
        let query = if statement == GET_DOCUMENT { query.bind(kind.clone()) } else { query };
        let row = found(query.fetch_optional(&self.database).await.map_err(meaning)?)?;
        change(kind, row).map_err(meaning)
    }

    async fn entity_version(&self, key: EntityKey) -> StoreResult<Option<Version>> {
        if key.kind().storage() != Storage::Document {
            return Err(StoreError::Malformed("versions of this kind are not read alone"));
        }
        let query = sqlx::query_scalar(DOCUMENT_VERSION).bind(key.ids().0).bind(key.kind().to_string());
        let version: Option<i64> = query.fetch_optional(&self.database).await.map_err(meaning)?;
        Ok(version.and_then(|it| u64::try_from(it).ok()).map(Version::new))
    }

    async fn entity_list(
        &self,
        scope: &Scope,
        kind: EntityKind,
        query: &EntityQuery,
        page: &Page<Uuid>,
    ) -> StoreResult<Listing<Change, Uuid>> {
        let statement = match kind {
            EntityKind::Generator => LIST_GENERATORS,
            EntityKind::Agent if query.environment.is_some() => LIST_AGENTS_OF_ENVIRONMENT,
            EntityKind::Agent => LIST_AGENTS,
            EntityKind::Key => LIST_KEYS,
            EntityKind::Stack => LIST_STACKS,
            kind if kind.storage() == Storage::Document => LIST_DOCUMENTS,
            _ => return Err(StoreError::Malformed("lists of this kind have their own reader")),
        };
        let rows = scoped::<Value>(statement, scope)
            .bind(page.after.unwrap_or_default())
            .bind(query.generator.map(|id| id.as_uuid()))
            .bind(query.name.as_ref().map(|name| name.as_str().to_owned()))
            .bind(requirements(&query.labels))
            .bind(query.environment.as_ref().map(|name| name.as_str().to_owned()))
            .bind(one_more(page.limit));
        let kind = kind.to_string();
        let rows = if statement == LIST_DOCUMENTS { rows.bind(kind.clone()) } else { rows };
        let rows = unwrapped(rows.fetch_all(&self.database).await.map_err(meaning)?);
        let changes = rows.into_iter().map(|row| change(kind.clone(), row)).collect::<Result<Vec<_>, _>>();
        let changes = changes.map_err(meaning)?;
        Ok(Listing::collect(changes.into_iter(), page.limit, |it| it.key().ids().0))
    }
}
