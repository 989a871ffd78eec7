//! Runs of the database server: each crash starts a new one.
//!
//! A crashed server may reuse numbers of transactions that it had not written down. The id of the run is in an unlogged
//! table, which crashes, restores and failovers leave empty.

use sqlx::Executor;
use sqlx::Postgres;
use uuid::Uuid;

use crate::query::statements;
use crate::session::{Link, Session};

statements! {
    CURRENT = "SELECT r.run FROM brokkr.run r";
    BEGIN = "INSERT INTO brokkr.run (run) VALUES ($1) ON CONFLICT DO NOTHING";
}

/// Returns the current run, and begins one if there is none.
pub(crate) async fn current<C: Link>(session: &mut Session<C>) -> Result<Uuid, sqlx::Error> {
    if let Some(run) = find(&mut *session).await? {
        return Ok(run);
    }
    sqlx::query(BEGIN).bind(Uuid::now_v7()).execute(&mut *session).await?;
    // Another broker may have begun the run at the same time.
    find(session).await?.ok_or(sqlx::Error::RowNotFound)
}

async fn find<'c>(executor: impl Executor<'c, Database = Postgres>) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar(CURRENT).fetch_optional(executor).await
}
