//! Histories: whether what is here may have forked from what others have seen.

use brokkr_core::model::Epoch;
use sqlx::{Connection as _, PgConnection};

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
    /// Whether another replica began one for the same reason a moment ago.
    JUST_BEGUN = "SELECT EXISTS (SELECT FROM brokkr.history h
        WHERE h.number = (SELECT max(number) FROM brokkr.history) AND h.reason = $1
            AND h.began_at > clock_timestamp() - interval '60 seconds')";
    CURRENT = "SELECT epoch FROM brokkr.history ORDER BY number DESC LIMIT 1";
}

/// Begins a new history where the newest one is another place's: after a restore, a failover that forked, or at the first
/// start of all. Replicas that notice at the same time begin one together.
pub(crate) async fn ensure_current(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    if is_current(connection).await? {
        return Ok(());
    }
    let began = begin_if(connection, "data elsewhere than before: new, restored, or forked", Unless::Current).await?;
    if let Some(epoch) = began {
        tracing::warn!(%epoch, "a new history begins; agents remove nothing until an admin confirms it");
    }
    Ok(())
}

/// When no new history is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unless {
    /// The newest one is that of this place.
    Current,
    /// Another replica began one for the same reason a moment ago.
    JustBegun,
    /// It is needed in any case.
    Never,
}

/// Begins a new history; which one counts then.
pub(crate) async fn begin(connection: &mut PgConnection, reason: &str, unless: Unless) -> Result<Epoch, sqlx::Error> {
    match begin_if(connection, reason, unless).await? {
        Some(epoch) => Ok(epoch),
        None => current(connection).await,
    }
}

async fn is_current(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(IS_CURRENT).fetch_one(connection).await
}

async fn current(connection: &mut PgConnection) -> Result<Epoch, sqlx::Error> {
    Ok(Epoch::from_uuid(sqlx::query_scalar(CURRENT).fetch_one(connection).await?))
}

async fn begin_if(connection: &mut PgConnection, reason: &str, unless: Unless) -> Result<Option<Epoch>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK).execute(&mut *transaction).await?;
    let needless = match unless {
        Unless::Current => is_current(&mut transaction).await?,
        Unless::JustBegun => sqlx::query_scalar(JUST_BEGUN).bind(reason).fetch_one(&mut *transaction).await?,
        Unless::Never => false,
    };
    if needless {
        return Ok(None);
    }
    let epoch = Epoch::generate();
    sqlx::query(BEGIN).bind(epoch.as_uuid()).bind(reason).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Some(epoch))
}
