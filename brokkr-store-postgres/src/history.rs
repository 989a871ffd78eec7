//! Histories: whether what is here may have forked from what others have seen.

use brokkr_core::model::Epoch;
use uuid::Uuid;

use crate::query::statements;
use crate::session::{Link, Session};

statements! {
    /// Whether the newest history is that of this place, and transactions are not numbered anew.
    IS_CURRENT = "SELECT coalesce((
            SELECT h.place = brokkr.place() AND NOT EXISTS (
                SELECT FROM brokkr.change c
                WHERE c.epoch = h.number AND c.transaction >= pg_snapshot_xmax(pg_current_snapshot()))
            FROM brokkr.history h ORDER BY h.number DESC LIMIT 1), false)";
    /// One at a time; a lock on the table would need rights to change it. The number is arbitrary.
    LOCK = "SELECT pg_advisory_xact_lock(8246330294231847)";
    /// The number is that of the second in which it begins, so that one that begins once more from the same backup has another
    /// number: readers of the feed compare by it.
    BEGIN = "INSERT INTO brokkr.history (number, epoch, place, reason)
        SELECT greatest(coalesce(max(number), 0) + 1, extract(epoch FROM clock_timestamp() - timestamptz '2020-01-01Z')::int4),
            $1, brokkr.place(), $2
        FROM brokkr.history";
    ALL = "SELECT h.epoch FROM brokkr.history h ORDER BY h.number";
    CURRENT = "SELECT epoch FROM brokkr.history ORDER BY number DESC LIMIT 1";
}

/// Begins a new history where the newest one is another place's: after a restore, a failover that forked, or at the first
/// start of all. Replicas that notice at the same time begin one together.
pub(crate) async fn ensure_current<C: Link>(session: &mut Session<C>) -> Result<(), sqlx::Error> {
    if is_current(&mut *session).await? {
        return Ok(());
    }
    let began = begin_if(session, "data elsewhere than before: new, restored, or forked", Unless::Current).await?;
    if let Some(epoch) = began {
        tracing::warn!(%epoch, "a new history begins; agents remove nothing until an admin confirms it");
    }
    Ok(())
}

/// When no new history is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unless<'a> {
    /// The newest one is that of this place.
    Current,
    /// The newest one is none of these: another replica has begun it since.
    AmongOthersThan(&'a [Uuid]),
    /// It is needed in any case.
    Never,
}

/// Begins a new history; which one counts then.
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

/// All of them, from the first to the newest.
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
