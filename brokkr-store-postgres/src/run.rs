//! Which run of the server this is: another one after every crash.
//!
//! A server that crashed may number transactions again that it had not written down. The row that tells is in a table that
//! crashes empty, and restores and failovers leave empty as well.

use sqlx::Executor;
use sqlx::Postgres;
use uuid::Uuid;

use crate::query::statements;
use crate::session::{Link, Session};

statements! {
    CURRENT = "SELECT r.run FROM brokkr.run r";
    BEGIN = "INSERT INTO brokkr.run (run) VALUES ($1) ON CONFLICT DO NOTHING";
}

/// The present run; begins one where a crash left none.
pub(crate) async fn current<C: Link>(session: &mut Session<C>) -> Result<Uuid, sqlx::Error> {
    if let Some(run) = find(&mut *session).await? {
        return Ok(run);
    }
    sqlx::query(BEGIN).bind(Uuid::now_v7()).execute(&mut *session).await?;
    // Another replica may have been faster.
    find(session).await?.ok_or(sqlx::Error::RowNotFound)
}

async fn find<'c>(executor: impl Executor<'c, Database = Postgres>) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar(CURRENT).fetch_optional(executor).await
}
