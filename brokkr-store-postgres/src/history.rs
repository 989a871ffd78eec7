//! Histories: detection of data that may have forked from what agents and subscribers have seen.

use brokkr_core::model::Epoch;
use uuid::Uuid;

use crate::query::statements;
use crate::session::{Link, Session};

statements! {
    /// Whether the newest history belongs to this place, and transaction numbers have not started again.
    IS_CURRENT = "SELECT coalesce((
            SELECT h.place = brokkr.place() AND NOT EXISTS (
                SELECT FROM brokkr.change c
                WHERE c.epoch = h.number AND c.transaction >= pg_snapshot_xmax(pg_current_snapshot()))
            FROM brokkr.history h ORDER BY h.number DESC LIMIT 1), false)";
    /// Serialises beginning a history. A table lock would need the right to change the table. The number is arbitrary.
    LOCK = "SELECT pg_advisory_xact_lock(8246330294231847)";
    /// The number is the current time in seconds, so that two histories that begin from the same backup have different
    /// numbers, by which feed readers compare.
    BEGIN = "INSERT INTO brokkr.history (number, epoch, place, reason)
        SELECT greatest(coalesce(max(number), 0) + 1, extract(epoch FROM clock_timestamp() - timestamptz '2020-01-01Z')::int4),
            $1, brokkr.place(), $2
        FROM brokkr.history";
    ALL = "SELECT h.epoch FROM brokkr.history h ORDER BY h.number";
    CURRENT = "SELECT epoch FROM brokkr.history ORDER BY number DESC LIMIT 1";
}

/// Begins a new history if the newest one belongs to another place: after a restore, after a failover that forked, or
/// at the first start. Brokers that detect it at the same time begin one together.
pub(crate) async fn ensure_current<C: Link>(session: &mut Session<C>) -> Result<(), sqlx::Error> {
    if is_current(&mut *session).await? {
        return Ok(());
    }
    let began = begin_if(session, "the database is new, restored or forked", Unless::Current).await?;
    if let Some(epoch) = began {
        tracing::warn!(%epoch, "began a new epoch: the database is new, restored or forked; agents remove nothing until an admin confirms the epoch");
    }
    Ok(())
}

/// The condition under which no new history begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unless<'a> {
    /// The newest history belongs to this place.
    Current,
    /// The newest history is none of these: another broker has begun it since.
    AmongOthersThan(&'a [Uuid]),
    /// A new history begins in any case.
    Never,
}

/// Begins a new history unless the condition holds. Returns the current one.
pub(crate) async fn begin<C: Link>(
    session: &mut Session<C>,
    reason: &str,
    unless: Unless<'_>,
) -> Result<Epoch, sqlx::Error> {
    match begin_if(&mut *session, reason, unless).await? {
        Some(epoch) => Ok(epoch),
        None => current(session).await,
    }
}

/// Reads all histories, oldest first.
pub(crate) async fn all<C: Link>(session: &mut Session<C>) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(ALL).fetch_all(session).await
}

async fn is_current<C: Link>(session: &mut Session<C>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(IS_CURRENT).fetch_one(session).await
}

async fn current<C: Link>(session: &mut Session<C>) -> Result<Epoch, sqlx::Error> {
    Ok(Epoch::from_uuid(sqlx::query_scalar(CURRENT).fetch_one(session).await?))
}

async fn begin_if<C: Link>(
    session: &mut Session<C>,
    reason: &str,
    unless: Unless<'_>,
) -> Result<Option<Epoch>, sqlx::Error> {
    let mut work = session.begin().await?;
    sqlx::query(LOCK).execute(&mut work).await?;
    let needless = match unless {
        Unless::Current => is_current(&mut work).await?,
        Unless::AmongOthersThan(known) => all(&mut work).await?.last().is_some_and(|newest| !known.contains(newest)),
        Unless::Never => false,
    };
    if needless {
        return Ok(None);
    }
    let epoch = Epoch::generate();
    sqlx::query(BEGIN).bind(epoch.as_uuid()).bind(reason).execute(&mut work).await?;
    work.commit().await?;
    Ok(Some(epoch))
}
