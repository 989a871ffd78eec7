//! Shared parts of all statements: scopes, and rows as JSON.
//!
//! Rows are read as `to_jsonb(row)` and written through `jsonb_populate_recordset`. Columns have the names of the
//! entities' fields, so the serde implementations of the entities are the only mapping.

use brokkr_core::model::{LabelSelector, Operator, Requirement};
use brokkr_core::store::{Scope, StoreError, StoreResult};
use serde::de::DeserializeOwned;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::types::Json;
use uuid::Uuid;

/// Declares the statements of a module, and a list of them for the test that prepares each one.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $sql;)*
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}

/// The SQL condition that a row of a stack is in scope. `$1` is the scope's kind, `$2` the generator or agent, `$3` the
/// agent's stacks, or the agents and keys of a limited scope: ids are unique among all of them.
macro_rules! sees_stack {
    ($stack:literal, $owner:literal) => {
        concat!(
            "($1::int4 = 0 OR ($1 = 1 AND ",
            $owner,
            " = $2::uuid) OR ($1 = 3 AND ($2 IS NULL OR ",
            $owner,
            " = $2)) OR ($1 = 2 AND ",
            $stack,
            " = ANY ($3::uuid[])))"
        )
    };
}

/// The SQL condition that a row of a stack on an agent is in scope.
macro_rules! sees_pair {
    ($stack:literal, $owner:literal, $agent:literal) => {
        concat!(
            "($1::int4 = 0 OR ($1 = 1 AND ",
            $owner,
            " = $2::uuid) OR ($1 = 3 AND ($2 IS NULL OR ",
            $owner,
            " = $2) AND ",
            $agent,
            " = ANY ($3::uuid[])) OR ($1 = 2 AND ",
            $agent,
            " = $2 AND ",
            $stack,
            " = ANY ($3::uuid[])))"
        )
    };
}

/// The SQL condition that an event is in scope.
macro_rules! sees_event {
    () => {
        "($1::int4 = 0 OR ($1 = 1 AND t.generator_id = $2::uuid) OR ($1 = 2 AND t.agent_id = $2)
            OR ($1 = 3 AND ($2 IS NULL OR t.generator_id = $2) AND t.agent_id = ANY ($3::uuid[])))"
    };
}

/// The SQL condition that a key is in scope.
macro_rules! sees_key {
    () => {
        "($1::int4 = 0 OR ($1 = 1 AND t.generator_id = $2::uuid) OR ($1 = 2 AND t.agent_id = $2)
            OR ($1 = 3 AND t.id = ANY ($3::uuid[])))"
    };
}

/// The SQL condition that an agent is in scope.
macro_rules! sees_agent {
    () => {
        "($1::int4 = 0 OR ($1 = 2 AND t.id = $2::uuid) OR ($1 = 3 AND $2 IS NULL AND t.id = ANY ($3::uuid[]))
            OR (($1 = 1 OR ($1 = 3 AND t.id = ANY ($3)))
                AND EXISTS (SELECT FROM brokkr.agent_registration r WHERE r.agent_id = t.id AND r.generator_id = $2)))"
    };
}

/// The SQL expression of an agent as JSON, from its row and its registrations.
macro_rules! agent_row {
    () => {
        "to_jsonb(t) || jsonb_build_object('registrations', (SELECT coalesce(jsonb_object_agg(generator_id, grant_id), '{}')
            FROM brokkr.agent_registration r WHERE r.agent_id = t.id))"
    };
}

pub(crate) use {agent_row, sees_agent, sees_event, sees_key, sees_pair, sees_stack, statements};

/// A statement with one column that contains a row as JSON.
pub(crate) type JsonQuery<'q, T> = QueryScalar<'q, Postgres, Json<T>, PgArguments>;

/// Creates a statement with the scope bound to the first three parameters.
pub(crate) fn scoped<'q, T>(sql: &'static str, scope: &Scope) -> JsonQuery<'q, T>
where
    T: DeserializeOwned + Send + Unpin + 'static,
{
    let (kind, id, others): (i32, Option<Uuid>, Vec<Uuid>) = match scope {
        Scope::All => (0, None, Vec::new()),
        Scope::Generator(id) => (1, Some(id.as_uuid()), Vec::new()),
        Scope::Limited { generator, agents, keys } => {
            let agents = agents.iter().map(|it| it.as_uuid());
            (3, generator.map(|it| it.as_uuid()), agents.chain(keys.iter().map(|it| it.as_uuid())).collect())
        }
        Scope::Agent { id, stacks } => (2, Some(id.as_uuid()), stacks.iter().map(|it| it.as_uuid()).collect()),
    };
    sqlx::query_scalar(sql).bind(kind).bind(id).bind(others)
}

/// Fetches the row, or [`StoreError::NotFound`].
pub(crate) fn found<T>(row: Option<Json<T>>) -> StoreResult<T> {
    row.map(|Json(row)| row).ok_or(StoreError::NotFound)
}

pub(crate) fn unwrapped<T>(rows: Vec<Json<T>>) -> Vec<T> {
    rows.into_iter().map(|Json(row)| row).collect()
}

/// The number of rows to fetch: one more than the page, to detect further pages.
pub(crate) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// Converts a selector to one list of requirements, for `brokkr.labels_fit`.
pub(crate) fn requirements(selector: &LabelSelector) -> Json<Vec<Requirement>> {
    let equal = |(key, value): (&String, &String)| Requirement {
        key: key.clone(),
        operator: Operator::In,
        values: vec![value.clone()],
    };
    Json(selector.match_labels.iter().map(equal).chain(selector.match_expressions.iter().cloned()).collect())
}
