//! A connection as statements use it: directly, or by way of a proxy that pools transactions.
//!
//! Behind such a proxy the next transaction may run on another connection of the server. A statement is sent in two steps,
//! and unless a transaction is open each of them is one: so a single statement gets a transaction around it. None has a
//! name either, which would stay behind on a connection that others use.

use std::fmt::Debug;
use std::ops::DerefMut;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _, iter, once};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection as _, Either, Execute, Executor, PgConnection, Postgres, SqlStr, Transaction};

/// What a session works on: a connection of the pool, one of its own, or one in a transaction.
pub(crate) trait Link: DerefMut<Target = PgConnection> + Send + Debug {}

impl<C: DerefMut<Target = PgConnection> + Send + Debug> Link for C {}

/// A connection, with what has to be heeded on it.
#[derive(Debug)]
pub(crate) struct Session<C> {
    link: C,
    pooled: bool,
}

/// A session in a transaction, which is undone unless it is committed.
pub(crate) type Work<'c> = Session<Transaction<'c, Postgres>>;

type Step = Either<PgQueryResult, PgRow>;

impl<C: Link> Session<C> {
    /// `pooled`: whether a proxy that pools transactions stands in between.
    pub(crate) fn new(link: C, pooled: bool) -> Self {
        Self { link, pooled }
    }

    pub(crate) async fn begin(&mut self) -> Result<Work<'_>, sqlx::Error> {
        Ok(Session { link: self.link.begin().await?, pooled: self.pooled })
    }

    /// Everything that a statement yields, with a transaction around it unless there is one.
    pub(crate) async fn whole<'q, E: Execute<'q, Postgres> + 'q>(
        &mut self,
        query: E,
    ) -> Result<Vec<Step>, sqlx::Error> {
        if self.link.is_in_transaction() {
            return self.link.fetch_many(Unnamed(query)).try_collect().await;
        }
        let mut transaction = self.link.begin().await?;
        let steps = transaction.fetch_many(Unnamed(query)).try_collect().await?;
        transaction.commit().await?;
        Ok(steps)
    }
}

impl Work<'_> {
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        self.link.commit().await
    }
}

/// A statement that leaves no name behind.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

impl<'c, C: Link> Executor<'c> for &'c mut Session<C> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if !self.pooled {
            return self.link.fetch_many(query);
        }
        let steps = async move {
            let steps = self.whole(query).await?;
            Ok::<_, sqlx::Error>(iter(steps.into_iter().map(Ok)))
        };
        once(steps).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if !self.pooled {
            return self.link.fetch_optional(query);
        }
        Box::pin(async move { Ok(self.whole(query).await?.into_iter().find_map(Either::right)) })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        self.link.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        self.link.describe(sql)
    }
}
