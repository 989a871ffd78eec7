//! The feed: changes ordered by history, transaction and sequence, below the oldest running transaction.

use brokkr_core::model::{ActorRef, RequestId};
use brokkr_core::store::{FeedEntry, FeedPage, FeedPosition, Scope, StoreError, StoreResult};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::Database;
use crate::error::meaning;
use crate::query::statements;
use crate::view::change;

statements! {
    /// The query hides the content of changes outside of the scope, but returns their positions, so that the reader can
    /// advance past them.
    READ = "SELECT c.epoch, c.transaction::text AS transaction, c.sequence, to_jsonb(c.at) AS at, c.actor, c.request_id, c.kind,
            CASE WHEN $1::int4 = 0 OR ($1 = 1 AND c.generator_id = $2::uuid) THEN c.entity END AS entity
        FROM brokkr.change c
        WHERE (c.epoch, c.transaction, c.sequence) > ($3, $4::text::xid8, $5)
            AND (c.transaction < pg_snapshot_xmin(pg_current_snapshot()) OR c.epoch < (
                SELECT h.number FROM brokkr.history h
                WHERE h.began_in < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY h.number DESC LIMIT 1))
        ORDER BY c.epoch, c.transaction, c.sequence LIMIT $6";
    START = "SELECT epoch, transaction::text AS transaction, sequence, (SELECT max(number) FROM brokkr.history) AS newest,
            pg_snapshot_xmax(pg_current_snapshot())::text AS unused
        FROM brokkr.feed_start";
}

/// Reads the changes after a position.
pub(crate) async fn read(
    database: &Database,
    scope: &Scope,
    after: FeedPosition,
    limit: usize,
) -> StoreResult<FeedPage> {
    let (kind, id): (i32, Option<Uuid>) = match scope {
        Scope::All => (0, None),
        Scope::Generator(id) => (1, Some(id.as_uuid())),
        Scope::Limited { .. } | Scope::Agent { .. } => return Ok(FeedPage { entries: Vec::new(), next: after }),
    };
    let rows = sqlx::query(READ)
        .bind(kind)
        .bind(id)
        .bind(i32::try_from(after.history).unwrap_or(i32::MAX))
        .bind(after.transaction.to_string())
        .bind(i32::try_from(after.sequence).unwrap_or(i32::MAX))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(database)
        .await
        .map_err(meaning)?;
    // Read the start of the feed after the changes: otherwise a purge in between would cause an undetected gap.
    let start = sqlx::query(START).fetch_one(database).await.map_err(meaning)?;
    let newest: i32 = start.try_get("newest").map_err(meaning)?;
    let unused: String = start.try_get("unused").map_err(meaning)?;
    let newest = u64::try_from(newest).unwrap_or(0);
    // The feed shows only transactions that have ended. A reader that is ahead has followed a record that was lost.
    let is_ahead = after.history == newest && unused.parse::<u64>().is_ok_and(|unused| after.transaction >= unused);
    let is_unknown = after.history > newest || is_ahead;
    if after != FeedPosition::START && (is_unknown || after < position(&start).map_err(meaning)?) {
        return Err(StoreError::Expired);
    }
    let mut page = FeedPage { entries: Vec::new(), next: after };
    for row in &rows {
        page.next = position(row).map_err(meaning)?;
        let entity: Option<Json<Value>> = row.try_get("entity").map_err(meaning)?;
        if let Some(Json(entity)) = entity {
            let at: Json<_> = row.try_get("at").map_err(meaning)?;
            let actor: Json<ActorRef> = row.try_get("actor").map_err(meaning)?;
            let request_id: Uuid = row.try_get("request_id").map_err(meaning)?;
            page.entries.push(FeedEntry {
                position: page.next,
                at: at.0,
                actor: actor.0,
                request_id: RequestId::from_uuid(request_id),
                change: change(row.try_get("kind").map_err(meaning)?, entity).map_err(meaning)?,
            });
        }
    }
    Ok(page)
}

fn position(row: &sqlx::postgres::PgRow) -> Result<FeedPosition, sqlx::Error> {
    let number = |it: i32| u64::try_from(it).unwrap_or(0);
    let transaction: String = row.try_get("transaction")?;
    let transaction =
        transaction.parse().map_err(|error: std::num::ParseIntError| sqlx::Error::Decode(Box::new(error)))?;
    Ok(FeedPosition { history: number(row.try_get("epoch")?), transaction, sequence: number(row.try_get("sequence")?) })
}
