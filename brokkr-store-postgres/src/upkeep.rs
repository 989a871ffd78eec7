//! Leases, by the database's clock, and the purge.

use std::time::Duration;

use brokkr_core::model::InstanceId;
use brokkr_core::store::{Lease, LeaseRecord, Retention, StoreResult};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::Database;
use crate::error::meaning;
use crate::query::statements;

/// Maximum rows of each kind that one call drops, to keep the transaction short.
const BATCH: i32 = 5_000;

statements! {
    TAKE = "INSERT INTO brokkr.lease AS t (name, holder, fencing, until)
        VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until,
            fencing = t.fencing + CASE WHEN t.holder = excluded.holder AND t.until > clock_timestamp() THEN 0 ELSE 1 END
        WHERE t.holder = excluded.holder OR t.until <= clock_timestamp()
        RETURNING fencing";
    RELEASE = "UPDATE brokkr.lease SET until = clock_timestamp() WHERE name = $1 AND holder = $2";
    NOTE = "INSERT INTO brokkr.lease AS t (name, holder, fencing, until, note)
        VALUES ($1, '00000000-0000-0000-0000-000000000000', 0, '-infinity', $2)
        ON CONFLICT (name) DO UPDATE SET note = excluded.note";
    LIST = "SELECT name, CASE WHEN until > clock_timestamp() THEN holder END, fencing, note FROM brokkr.lease ORDER BY name";
    PURGE = "SELECT brokkr.purge($1, make_interval(secs => $2), $3)";
    FORGET_KEYS = "DELETE FROM brokkr.idempotency WHERE (actor, key) IN (
        SELECT actor, key FROM brokkr.idempotency WHERE at < clock_timestamp() - interval '2 days' ORDER BY at LIMIT $1)";
    /// Answers outlive the keys that refer to them: the time of an answer can be an hour older than its last use.
    FORGET_ANSWERS = "DELETE FROM brokkr.idempotency_answer WHERE digest IN (SELECT digest FROM brokkr.idempotency_answer
        WHERE at < clock_timestamp() - interval '3 days' ORDER BY at LIMIT $1)";
}

pub(crate) async fn take(
    database: &Database,
    name: &str,
    holder: InstanceId,
    valid_for: Duration,
) -> StoreResult<Option<Lease>> {
    let query = sqlx::query_scalar(TAKE).bind(name).bind(holder.as_uuid()).bind(valid_for.as_secs_f64());
    let fencing: Option<i64> = query.fetch_optional(database).await.map_err(meaning)?;
    Ok(fencing.map(|fencing| Lease { fencing: u64::try_from(fencing).unwrap_or(0), valid_for }))
}

pub(crate) async fn release(database: &Database, name: &str, holder: InstanceId) -> StoreResult<()> {
    sqlx::query(RELEASE).bind(name).bind(holder.as_uuid()).execute(database).await.map_err(meaning)?;
    Ok(())
}

pub(crate) async fn note(database: &Database, name: &str, note: &Value) -> StoreResult<()> {
    sqlx::query(NOTE).bind(name).bind(Json(note)).execute(database).await.map_err(meaning)?;
    Ok(())
}

/// The name, the holder, the fencing number and the note of a lease.
type LeaseRow = (String, Option<Uuid>, i64, Option<Json<Value>>);

pub(crate) async fn list(database: &Database) -> StoreResult<Vec<LeaseRecord>> {
    let rows: Vec<LeaseRow> = sqlx::query_as(LIST).fetch_all(database).await.map_err(meaning)?;
    let record = |(name, holder, fencing, note): LeaseRow| LeaseRecord {
        name,
        holder: holder.map(InstanceId::from),
        fencing: u64::try_from(fencing).unwrap_or(0),
        note: note.map(|Json(note)| note).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(record).collect())
}

/// Drops a batch of each kind, and of forgotten idempotency keys. If the database refuses one kind, because its owner
/// configured a longer retention, the others are still purged.
pub(crate) async fn purge(database: &Database, keep: &Retention) -> StoreResult<u64> {
    let forgotten = sqlx::query(FORGET_KEYS).bind(i64::from(BATCH)).execute(database).await.map_err(meaning)?;
    let answers = sqlx::query(FORGET_ANSWERS).bind(i64::from(BATCH)).execute(database).await.map_err(meaning)?;
    let mut gone = forgotten.rows_affected() + answers.rows_affected();
    let mut refused = None;
    for (what, keep) in [("events", keep.events), ("audit", keep.audit), ("changes", keep.changes)] {
        let Some(keep) = keep else { continue };
        let query = sqlx::query_scalar::<_, i64>(PURGE).bind(what).bind(keep.as_secs_f64()).bind(BATCH);
        match query.fetch_one(database).await {
            Ok(rows) => gone += u64::try_from(rows).unwrap_or(0),
            Err(error) => refused = refused.or(Some(meaning(error))),
        }
    }
    refused.map_or(Ok(gone), Err)
}
