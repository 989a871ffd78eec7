//! Last-seen and last-used times, written in batches.

use brokkr_core::model::Timestamp;
use brokkr_core::store::{Activity, StoreResult};
use uuid::Uuid;

use crate::database::Database;
use crate::error::meaning;
use crate::query::statements;

statements! {
    AGENTS_SEEN = "INSERT INTO brokkr.agent_activity AS t (agent_id, seen_at)
        SELECT n.id, n.at::timestamptz FROM unnest($1::uuid[], $2::text[]) AS n (id, at) JOIN brokkr.agent a ON a.id = n.id
        ORDER BY n.id
        ON CONFLICT (agent_id) DO UPDATE SET seen_at = excluded.seen_at WHERE t.seen_at < excluded.seen_at";
    KEYS_USED = "INSERT INTO brokkr.key_activity AS t (key_id, used_at)
        SELECT n.id, n.at::timestamptz FROM unnest($1::uuid[], $2::text[]) AS n (id, at) JOIN brokkr.api_key k ON k.id = n.id
        ORDER BY n.id
        ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at WHERE t.used_at < excluded.used_at";
}

/// Stores newer times. Older times, and those of unknown agents and keys, are ignored.
pub(crate) async fn record(database: &Database, activity: &Activity) -> StoreResult<()> {
    let agents = activity.agents.iter().map(|(id, at)| (id.as_uuid(), at));
    let keys = activity.keys.iter().map(|(id, at)| (id.as_uuid(), at));
    write(database, AGENTS_SEEN, agents.collect()).await?;
    write(database, KEYS_USED, keys.collect()).await
}

async fn write(database: &Database, sql: &'static str, times: Vec<(Uuid, &Timestamp)>) -> StoreResult<()> {
    // Keep only the newest time of each id: a statement cannot write a row twice.
    let mut newest = std::collections::BTreeMap::new();
    for (id, at) in times {
        newest.entry(id).and_modify(|known: &mut &Timestamp| *known = at.max(known)).or_insert(at);
    }
    if newest.is_empty() {
        return Ok(());
    }
    let (ids, times): (Vec<Uuid>, Vec<String>) = newest.into_iter().map(|(id, at)| (id, at.to_string())).unzip();
    sqlx::query(sql).bind(ids).bind(times).execute(database).await.map_err(meaning)?;
    Ok(())
}
