//! Histories: whether what is here may have forked from what others have seen.

use brokkr_core::model::Epoch;
use brokkr_core::store::StoreResult;
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::error::meaning;
use crate::query::statements;

statements! {
    /// Whether the newest history is that of this place, and transactions are not numbered anew.
    IS_CURRENT = "SELECT coalesce((
            SELECT h.place = brokkr.place() AND NOT EXISTS (
                SELECT FROM brokkr.change c
                WHERE c.epoch = h.number AND c.transaction >= pg_snapshot_xmax(pg_current_snapshot()))
            FROM brokkr.history h ORDER BY h.number DESC LIMIT 1), false)";
    /// One at a time; a lock on the table would need rights to change it. The number is arbitrary.
    LOCK = "SELECT pg_advisory_xact_lock(8246330294231847)";
    BEGIN = "INSERT INTO brokkr.history (number, epoch, place, reason)
        SELECT coalesce(max(number), 0) + 1, $1, brokkr.place(), $2 FROM brokkr.history";
    CURRENT = "SELECT epoch FROM brokkr.history ORDER BY number DESC LIMIT 1";
}

/// Begins a new history where the newest one is another place's: after a restore, a failover that forked, or at the first
/// start of all. Replicas that notice at the same time begin one together.
pub(crate) async fn ensure_current(pool: &PgPool) -> StoreResult<()> {
    let mut connection = pool.acquire().await.map_err(meaning)?;
    if is_current(&mut connection).await.map_err(meaning)? {
        return Ok(());
    }
    let began = begin_if(&mut connection, "data elsewhere than before: new, restored, or forked", false).await;
    if let Some(epoch) = began.map_err(meaning)? {
        tracing::warn!(%epoch, "a new history begins; agents remove nothing until an admin confirms it");
    }
    Ok(())
}

/// Begins a new history by command.
pub(crate) async fn begin(pool: &PgPool, reason: &str) -> StoreResult<Epoch> {
    let mut connection = pool.acquire().await.map_err(meaning)?;
    let began = begin_if(&mut connection, reason, true).await.map_err(meaning)?;
    match began {
        Some(epoch) => Ok(epoch),
        None => current(&mut connection).await.map_err(meaning),
    }
}

async fn is_current(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(IS_CURRENT).fetch_one(connection).await
}

async fn current(connection: &mut PgConnection) -> Result<Epoch, sqlx::Error> {
    Ok(Epoch::from_uuid(sqlx::query_scalar(CURRENT).fetch_one(connection).await?))
}

async fn begin_if(
    connection: &mut PgConnection,
    reason: &str,
    unconditionally: bool,
) -> Result<Option<Epoch>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK).execute(&mut *transaction).await?;
    if !unconditionally && is_current(&mut transaction).await? {
        return Ok(None);
    }
    let epoch = Epoch::generate();
    sqlx::query(BEGIN).bind(epoch.as_uuid()).bind(reason).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Some(epoch))
}
