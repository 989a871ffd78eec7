//! The pool as an executor of single statements.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _, iter, once};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Either, Execute, Executor, PgPool, Postgres, SqlStr};

use crate::session::Session;

/// The connection pool.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    /// Whether connections pass through a connection pooler in transaction mode.
    pooled: bool,
    /// The timeout of each step.
    step_timeout: Duration,
}

impl Database {
    pub(crate) fn new(pool: PgPool, pooled: bool, step_timeout: Duration) -> Self {
        Self { pool, pooled, step_timeout }
    }

    /// Acquires one connection, for statements that belong together.
    pub(crate) async fn session(&self) -> Result<Session<PoolConnection<Postgres>>, sqlx::Error> {
        Ok(Session::new(self.pool.acquire().await?, self.pooled, self.step_timeout))
    }
}

impl<'p> Executor<'p> for &'p Database {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let steps = async move {
            let mut session = self.session().await?;
            let steps: Result<Vec<_>, sqlx::Error> = session.fetch_many(query).try_collect().await;
            let steps = steps.inspect_err(|error| session.close_if_timed_out(error))?;
            Ok::<_, sqlx::Error>(iter(steps.into_iter().map(Ok)))
        };
        once(steps).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut session = self.session().await?;
            let row = session.fetch_optional(query).await;
            row.inspect_err(|error| session.close_if_timed_out(error))
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        self.pool.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'p: 'e,
    {
        self.pool.describe(sql)
    }
}
