//! Connections as executors of statements, direct or through a connection pooler in transaction mode.
//!
//! Behind such a proxy, the next transaction may run on another connection of the server. The driver sends a statement
//! in two steps, each of which is a transaction of its own unless one is open, so a session wraps single statements in
//! a transaction. Prepared statements have no names, because a name would remain on a connection that others use.
//!
//! The server ends statements that take too long. If the server is unreachable (frozen host, network that drops
//! packets), the session's own timeout ends the wait: the outcome of the statement is unknown, and the connection is
//! not used again.

use std::fmt::Debug;
use std::io;
use std::ops::DerefMut;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _, iter, once, unfold};
use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection as _, Either, Execute, Executor, PgConnection, Postgres, SqlStr, Transaction};

/// The connection of a session: from the pool, its own, or in a transaction.
pub(crate) trait Link: DerefMut<Target = PgConnection> + Send + Debug {}

impl<C: DerefMut<Target = PgConnection> + Send + Debug> Link for C {}

/// A connection with its timeout and its proxy mode.
#[derive(Debug)]
pub(crate) struct Session<C> {
    link: C,
    pooled: bool,
    /// The timeout of each step on the client.
    step_timeout: Duration,
}

/// A session in a transaction, which is rolled back unless it is committed.
pub(crate) type Work<'c> = Session<Transaction<'c, Postgres>>;

type Step = Either<PgQueryResult, PgRow>;

impl<C: Link> Session<C> {
    /// `pooled`: whether the connection passes through a connection pooler in transaction mode.
    pub(crate) fn new(link: C, pooled: bool, step_timeout: Duration) -> Self {
        Self { link, pooled, step_timeout }
    }

    /// Sets the timeout of further steps.
    #[must_use]
    pub(crate) fn with_step_timeout(self, step_timeout: Duration) -> Self {
        Self { step_timeout, ..self }
    }

    pub(crate) async fn begin(&mut self) -> Result<Work<'_>, sqlx::Error> {
        let link = within(self.step_timeout, self.link.begin()).await?;
        Ok(Session { link, pooled: self.pooled, step_timeout: self.step_timeout })
    }

    /// Runs a statement to its end and returns all of its results, in a transaction of its own unless one is open.
    async fn whole<'q, E: Execute<'q, Postgres> + 'q>(&mut self, query: E) -> Result<Vec<Step>, sqlx::Error> {
        if self.link.is_in_transaction() {
            return each_within(self.step_timeout, self.link.fetch_many(Unnamed(query))).try_collect().await;
        }
        let mut transaction = within(self.step_timeout, self.link.begin()).await?;
        let steps = each_within(self.step_timeout, transaction.fetch_many(Unnamed(query))).try_collect().await?;
        within(self.step_timeout, transaction.commit()).await?;
        Ok(steps)
    }
}

impl Work<'_> {
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        within(self.step_timeout, self.link.commit()).await
    }
}

impl Session<PoolConnection<Postgres>> {
    /// Removes the connection from the pool after a timeout. The pool checks returned connections, and would wait for
    /// this one without end.
    pub(crate) fn close_if_timed_out(&mut self, error: &sqlx::Error) {
        if matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut) {
            self.link.close_on_drop();
        }
    }
}

fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time"))
}

async fn within<T>(
    step_timeout: Duration,
    step: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(step_timeout, step).await.unwrap_or_else(|_| Err(timed_out()))
}

/// Limits the time of each step of a stream. The first timeout ends the stream.
fn each_within<'e, T: Send + 'e>(
    step_timeout: Duration,
    steps: BoxStream<'e, Result<T, sqlx::Error>>,
) -> BoxStream<'e, Result<T, sqlx::Error>> {
    let next = move |steps: Option<BoxStream<'e, Result<T, sqlx::Error>>>| async move {
        let mut steps = steps?;
        match tokio::time::timeout(step_timeout, steps.next()).await {
            Ok(step) => Some((step?, Some(steps))),
            Err(_) => Some((Err(timed_out()), None)),
        }
    };
    unfold(Some(steps), next).boxed()
}

/// A statement without a name on the server.
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
            return each_within(self.step_timeout, self.link.fetch_many(query));
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
            return Box::pin(within(self.step_timeout, self.link.fetch_optional(query)));
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
