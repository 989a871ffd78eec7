//! Snapshots and tails, from which brokers build and update their fleet views.
//!
//! A token is the transaction snapshot of the statement that read. The next read takes every transaction that was
//! unfinished in it. So no change is lost or seen twice, in whatever order transactions end, and a long-running
//! transaction delays only its own changes.

use std::time::Duration;

use brokkr_core::model::{
    Agent, ApiKey, Assignment, Change, DeploymentObject, EntityKind, Epoch, Generation, GeneratorPrincipal, Stack,
    Storage, Target, Timestamp,
};
use brokkr_core::store::{FeedPosition, Moment, ViewSnapshot, ViewTail, ViewToken};
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::types::Json;
use uuid::Uuid;

use crate::query::{agent_row, statements, unwrapped};
use crate::session::{Link, Session, Work};

/// Maximum changes of one tail. A reader that is further behind takes a new snapshot.
const TAIL: i64 = 20_000;
/// Timeout of each step of a snapshot. Reading everything takes longer than a request may wait.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(65);

/// The columns of a token, from the transaction snapshot `s`.
macro_rules! token {
    () => {
        "pg_snapshot_xmax(s)::text AS xmax, ARRAY(SELECT x::text FROM pg_snapshot_xip(s) x) AS in_progress,
            (SELECT epoch FROM brokkr.history ORDER BY number DESC LIMIT 1) AS epoch"
    };
}

/// The time in microseconds: that of the server, and never before that of the newest commit. So time does not go back when
/// another server with another clock takes over.
macro_rules! time {
    () => {
        "(extract(epoch FROM greatest(clock_timestamp(), newest.at)) * 1000000)::int8"
    };
}

/// Excludes the kinds that every report changes, as the index `change_of_view` does. Rust code filters the rest by
/// kind.
macro_rules! of_view {
    () => {
        "kind NOT IN ('agent-session', 'stack-status', 'event')"
    };
}

statements! {
    /// All statements of the transaction see the same snapshot.
    SNAPSHOT_BEGIN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
    /// The timeout on the server, shorter than the client's.
    SNAPSHOT_STATEMENT_TIMEOUT = "SELECT set_config('statement_timeout', '60s', true)";
    TOKEN = concat!("SELECT ", token!(), ", ", time!(), " AS now FROM pg_current_snapshot() s LEFT JOIN LATERAL (
            SELECT at FROM brokkr.change ORDER BY epoch DESC, transaction DESC LIMIT 1) newest ON true");
    GENERATORS = "SELECT to_jsonb(t) FROM brokkr.generator t WHERE deleted_at IS NULL";
    KEYS = "SELECT to_jsonb(t) FROM brokkr.api_key t WHERE deleted_at IS NULL";
    AGENTS = concat!("SELECT ", agent_row!(), " FROM brokkr.agent t WHERE deleted_at IS NULL");
    STACKS = "SELECT to_jsonb(t) FROM brokkr.stack t WHERE deleted_at IS NULL";
    /// Only the newest deployment object of each stack.
    OBJECTS = "SELECT to_jsonb(o) FROM brokkr.stack s, LATERAL (
            SELECT * FROM brokkr.deployment_object o WHERE o.stack_id = s.id ORDER BY o.revision DESC LIMIT 1) o
        WHERE s.deleted_at IS NULL";
    TARGETS = "SELECT to_jsonb(t) FROM brokkr.target t WHERE deleted_at IS NULL";
    DOCUMENTS = "SELECT jsonb_build_object('kind', kind, 'entity', body) FROM brokkr.document WHERE kind = ANY ($1) AND deleted_at IS NULL";
    ASSIGNMENTS = "SELECT to_jsonb(t) FROM brokkr.assignment t WHERE state <> 'gone'";
    LANDMARK = "SELECT epoch, transaction::text, request_id FROM brokkr.change ORDER BY epoch DESC, transaction DESC LIMIT 1";
    IS_THERE = "SELECT EXISTS (SELECT FROM brokkr.change WHERE epoch = $1 AND transaction = $2::text::xid8 AND request_id = $3)
        OR (SELECT (epoch, transaction) >= ($1, $2::text::xid8) FROM brokkr.feed_start)";
    /// The changes of transactions that the token's snapshot has not seen, and the new snapshot. One row without a
    /// change if there are none. Limited to histories of this place: elsewhere transaction numbers have another
    /// meaning, and a dump brings them along.
    TAIL_SINCE = concat!("WITH here AS (
            SELECT h.number FROM brokkr.history h
            WHERE h.place = (SELECT n.place FROM brokkr.history n ORDER BY n.number DESC LIMIT 1))
        SELECT ", token!(), ",
            (SELECT f.transaction::text FROM brokkr.feed_start f WHERE f.epoch IN (SELECT number FROM here)) AS kept_after,
            ($4::int4 IS NULL
                OR EXISTS (SELECT FROM brokkr.change l
                    WHERE l.epoch = $4 AND l.transaction = $5::text::xid8 AND l.request_id = $6)
                OR (SELECT (f.epoch, f.transaction) >= ($4, $5::text::xid8) FROM brokkr.feed_start f)) AS landmark_is_there,
            coalesce((SELECT r.run = $7 FROM brokkr.run r), false) AS is_same_run,
            newest.epoch AS newest_epoch, newest.transaction::text AS newest_transaction, newest.request_id AS newest_request,
            ", time!(), " AS now,
            c.kind, c.entity
        FROM pg_current_snapshot() s
        LEFT JOIN LATERAL (
            SELECT epoch, transaction, request_id, at FROM brokkr.change ORDER BY epoch DESC, transaction DESC LIMIT 1
        ) newest ON true
        LEFT JOIN LATERAL (
            (SELECT since.kind, since.entity FROM here, LATERAL (
                SELECT t.kind, t.entity FROM brokkr.change t
                WHERE t.epoch = here.number AND t.transaction >= $1::text::xid8 AND ", of_view!(), "
                ORDER BY t.transaction LIMIT $3) since)
            UNION ALL
            (SELECT late.kind, late.entity FROM here, unnest($2::text[]) AS unfinished (transaction), LATERAL (
                SELECT t.kind, t.entity FROM brokkr.change t
                WHERE t.epoch = here.number AND t.transaction = unfinished.transaction::xid8 AND ", of_view!(), "
                LIMIT $3) late)
            LIMIT $3
        ) c ON true");
}

/// The newest change of any kind that was seen. If it no longer exists, the data was set back.
#[derive(Debug, Clone)]
pub(crate) struct Landmark {
    history: i32,
    transaction: String,
    request_id: Uuid,
}

impl Landmark {
    pub(crate) async fn is_there<C: Link>(&self, session: &mut Session<C>) -> Result<bool, sqlx::Error> {
        let query = sqlx::query_scalar(IS_THERE).bind(self.history).bind(&self.transaction).bind(self.request_id);
        query.fetch_one(session).await
    }
}

/// The result of reading the tail.
pub(crate) enum Tail {
    /// The later changes, and the current landmark.
    Read(ViewTail, Option<Landmark>),
    /// The changes are no longer stored or too many, or the token is of another history or another run of the server.
    Expired,
    /// The landmark no longer exists: the data was set back.
    SetBack,
}

/// Reads all living entities of the view at one moment, and the landmark of that moment.
pub(crate) async fn snapshot<C: Link>(
    session: &mut Session<C>,
) -> Result<(ViewSnapshot, Option<Landmark>), sqlx::Error> {
    let mut work = session.begin().await?.with_step_timeout(SNAPSHOT_TIMEOUT);
    sqlx::query(SNAPSHOT_BEGIN).execute(&mut work).await?;
    sqlx::query(SNAPSHOT_STATEMENT_TIMEOUT).execute(&mut work).await?;
    let row = sqlx::query(TOKEN).fetch_one(&mut work).await?;
    let (token, now) = (token(&row)?, time(&row)?);
    let mut entities = Vec::new();
    entities.extend(all::<GeneratorPrincipal>(&mut work, GENERATORS).await?.into_iter().map(Change::Generator));
    entities.extend(all::<ApiKey>(&mut work, KEYS).await?.into_iter().map(Change::Key));
    entities.extend(all::<Agent>(&mut work, AGENTS).await?.into_iter().map(Change::Agent));
    entities.extend(all::<Stack>(&mut work, STACKS).await?.into_iter().map(Change::Stack));
    entities.extend(all::<DeploymentObject>(&mut work, OBJECTS).await?.into_iter().map(Change::DeploymentObject));
    entities.extend(all::<Target>(&mut work, TARGETS).await?.into_iter().map(Change::Target));
    entities.extend(all::<Assignment>(&mut work, ASSIGNMENTS).await?.into_iter().map(Change::Assignment));
    let documents = EntityKind::ALL.iter().filter(|it| it.is_in_view() && it.storage() == Storage::Document);
    let kinds: Vec<String> = documents.map(EntityKind::to_string).collect();
    let documents = sqlx::query_scalar::<_, Json<Change>>(DOCUMENTS).bind(kinds).fetch_all(&mut work).await?;
    entities.extend(unwrapped(documents));
    let landmark: Option<(i32, String, Uuid)> = sqlx::query_as(LANDMARK).fetch_optional(&mut work).await?;
    work.commit().await?;
    let landmark = landmark.map(|(history, transaction, request_id)| Landmark { history, transaction, request_id });
    Ok((ViewSnapshot { entities, token, now }, landmark))
}

async fn all<T: DeserializeOwned + Send + Unpin + 'static>(
    work: &mut Work<'_>,
    sql: &'static str,
) -> Result<Vec<T>, sqlx::Error> {
    Ok(unwrapped(sqlx::query_scalar::<_, Json<T>>(sql).fetch_all(work).await?))
}

/// Reads the changes since a token.
pub(crate) async fn tail<C: Link>(
    session: &mut Session<C>,
    since: &ViewToken,
    run: Uuid,
    landmark: Option<&Landmark>,
) -> Result<Tail, sqlx::Error> {
    let Some(seen) = since.moment::<Snapshot>() else { return Ok(Tail::Expired) };
    let in_progress: Vec<String> = seen.in_progress.iter().map(u64::to_string).collect();
    let rows = sqlx::query(TAIL_SINCE)
        .bind(seen.xmax.to_string())
        .bind(in_progress)
        // Read one more row to detect that there are more changes than the limit.
        .bind(TAIL + 1)
        .bind(landmark.map(|it| it.history))
        .bind(landmark.map(|it| it.transaction.clone()))
        .bind(landmark.map(|it| it.request_id))
        .bind(run)
        .fetch_all(session)
        .await?;
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let (token, now) = (token(first)?, time(first)?);
    if !first.try_get::<bool, _>("landmark_is_there")? {
        return Ok(Tail::SetBack);
    }
    let kept_after: Option<String> = first.try_get("kept_after")?;
    let kept_after: u64 = kept_after.and_then(|it| it.parse().ok()).unwrap_or(0);
    let is_same_run: bool = first.try_get("is_same_run")?;
    if !is_same_run || token.epoch() != since.epoch() || seen.oldest_unseen() <= kept_after || rows.len() as i64 > TAIL
    {
        return Ok(Tail::Expired);
    }
    let newest: Option<i32> = first.try_get("newest_epoch")?;
    let landmark = match newest {
        Some(history) => Some(Landmark {
            history,
            transaction: first.try_get("newest_transaction")?,
            request_id: first.try_get("newest_request")?,
        }),
        None => None,
    };
    let mut changes = Vec::with_capacity(rows.len());
    for row in &rows {
        let kind: Option<String> = row.try_get("kind")?;
        if let Some(kind) = kind {
            let entity: Json<serde_json::Value> = row.try_get("entity")?;
            let change = change(kind, entity.0)?;
            if change.key().kind().is_in_view() {
                changes.push(change);
            }
        }
    }
    // The numbers of two transactions on one entity may be in another order than their commits.
    changes.sort_by_key(Change::version);
    Ok(Tail::Read(ViewTail { entities: changes, token, now }, landmark))
}

/// Decodes a change from its columns.
pub(crate) fn change(kind: String, entity: serde_json::Value) -> Result<Change, sqlx::Error> {
    let tagged = serde_json::json!({"kind": kind, "entity": entity});
    serde_json::from_value(tagged).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// The transactions that a snapshot of the server has seen: all below `xmax` except those in `in_progress`.
///
/// See <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT>.
#[derive(Debug)]
struct Snapshot {
    xmax: u64,
    in_progress: Vec<u64>,
}

impl Snapshot {
    /// The oldest transaction that the snapshot may not have seen.
    fn oldest_unseen(&self) -> u64 {
        self.in_progress.iter().copied().min().unwrap_or(self.xmax)
    }
}

impl Moment for Snapshot {
    fn contains(&self, position: FeedPosition) -> bool {
        position.transaction < self.xmax && !self.in_progress.contains(&position.transaction)
    }
}

fn time(row: &sqlx::postgres::PgRow) -> Result<Timestamp, sqlx::Error> {
    let micros: i64 = row.try_get("now")?;
    Timestamp::from_micros(micros).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn token(row: &sqlx::postgres::PgRow) -> Result<ViewToken, sqlx::Error> {
    let number = |text: &String| text.parse::<u64>().map_err(|error| sqlx::Error::Decode(Box::new(error)));
    let xmax: String = row.try_get("xmax")?;
    let in_progress: Vec<String> = row.try_get("in_progress")?;
    let epoch: Uuid = row.try_get("epoch")?;
    let in_progress: Vec<u64> = in_progress.iter().map(number).collect::<Result<_, _>>()?;
    let snapshot = Snapshot { xmax: number(&xmax)?, in_progress };
    // The number of seen transactions orders snapshots: one that contains another has seen more.
    let generation = Generation::new(snapshot.xmax.saturating_sub(snapshot.in_progress.len() as u64));
    Ok(ViewToken::new(Epoch::from_uuid(epoch), generation, snapshot))
}
