//! Commits: one decision in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::model::{AuditRecord, Change, Digest, EntityKey, EntityKind, Storage, Version, limits};
use brokkr_core::store::{
    Commit, Committed, FeedPosition, IdempotencyRecord, Precondition, StoreError, StoreResult, UniqueKey,
};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgQueryResult};
use sqlx::query::Query;
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::Database;
use crate::error::{is_retryable, meaning};
use crate::query::statements;
use crate::quota;
use crate::session::{Link, Session, Work};
use crate::tables::{self, Table};

/// Attempts of a transaction that the server aborts because of a concurrent one.
const TRIES: usize = 3;
/// Bytes up to which an outcome is kept in the row of its idempotency key.
const SMALL_ANSWER: usize = 4096;

/// Inserts audit records, given as JSON in `$1`.
macro_rules! insert_audit {
    () => {
        "INSERT INTO brokkr.audit (id, at, actor, actor_text, subject, action, object_kind, object_id, request_id, source,
            outcome, detail, changes, count)
        SELECT id, at, actor, actor_text, subject, action, object_kind, object_id, request_id, source, outcome, detail,
            changes, count
        FROM jsonb_populate_recordset(NULL::brokkr.audit, $1)"
    };
}

statements! {
    /// Serialises commits that take or give up the same name. A transaction gets its number with its first write, so
    /// one that waits here gets a higher number than the commit that it waits for, and follows it in the feed. Names
    /// share a bounded number of locks.
    LOCK_NAMES = "SELECT pg_advisory_xact_lock(1651666539, n.lock)
        FROM (SELECT DISTINCT hashtext(t.name) & 1023 AS lock FROM unnest($1::text[]) t (name) ORDER BY 1) n";
    /// Waits for a concurrent commit with the same key. Writes nothing if that one took the key.
    TAKE_KEY = "INSERT INTO brokkr.idempotency AS t (actor, key, fingerprint, outcome, answer, at)
        SELECT actor, key, fingerprint, outcome, answer, at FROM jsonb_populate_record(NULL::brokkr.idempotency, $1)
        ON CONFLICT (actor, key) DO UPDATE SET fingerprint = excluded.fingerprint, outcome = excluded.outcome,
            answer = excluded.answer, at = excluded.at
        WHERE t.at <= excluded.at - make_interval(hours => $2)";
    /// Once for equal answers. The time is renewed rarely, so that requests with one answer do not queue for its row.
    KEEP_ANSWER = "INSERT INTO brokkr.idempotency_answer AS t (digest, outcome, at) VALUES ($1, $2, $3::text::timestamptz)
        ON CONFLICT (digest) DO UPDATE SET at = excluded.at WHERE t.at < excluded.at - interval '1 hour'";
    /// Locks the lease, so that nobody takes it over before the end of the commit.
    LOCK_LEASE = "SELECT 1 FROM brokkr.lease WHERE name = $1 AND fencing = $2 AND until > clock_timestamp() FOR SHARE";
    OWNS_STACKS = "SELECT EXISTS (SELECT FROM brokkr.stack WHERE generator_id = $1 AND deleted_at IS NULL)";
    /// Whether anything names the environment `$1` at the time `$2`.
    NAMES_ENVIRONMENT = "SELECT EXISTS (SELECT FROM brokkr.agent WHERE environment = $1 AND deleted_at IS NULL)
        OR EXISTS (SELECT FROM brokkr.generator WHERE $1 = ANY (environments) AND deleted_at IS NULL)
        OR EXISTS (SELECT FROM brokkr.api_key WHERE $1 = ANY (environments) AND deleted_at IS NULL
            AND coalesce(expires_at, 'infinity') > $2::text::timestamptz)
        OR EXISTS (SELECT FROM brokkr.document WHERE kind = 'join-token' AND deleted_at IS NULL
            AND (body ->> 'environment' = $1 OR coalesce(body -> 'keys_environments' ? $1, false))
            AND (body ->> 'expires_at')::timestamptz > $2::text::timestamptz)";
    INSERT_CONTENT = "INSERT INTO brokkr.content (digest, bytes) SELECT * FROM unnest($1::text[], $2::bytea[])
        ON CONFLICT (digest) DO NOTHING";
    /// Inserts changes and audit records, and returns the position. The last statement of every commit.
    INSERT_RECORDS = concat!("WITH audit AS (",
            insert_audit!(), ")
        INSERT INTO brokkr.change (epoch, sequence, kind, generator_id, at, actor, request_id, entity)
        SELECT (SELECT max(number) FROM brokkr.history), c.n, c.v ->> 'kind', (c.v ->> 'generator_id')::uuid,
            $3::timestamptz, $4, $5, c.v -> 'entity'
        FROM jsonb_array_elements($2) WITH ORDINALITY AS c (v, n)
        RETURNING epoch, transaction::text");
    INSERT_AUDIT = concat!(insert_audit!(), " ON CONFLICT DO NOTHING");
}

fn table(kind: EntityKind) -> Table {
    use tables::of;
    match kind {
        EntityKind::Generator => of::GENERATOR,
        EntityKind::Key => of::KEY,
        EntityKind::Agent => of::AGENT,
        EntityKind::AgentSession => of::SESSION,
        EntityKind::Stack => of::STACK,
        EntityKind::DeploymentObject => of::OBJECT,
        EntityKind::Target => of::TARGET,
        EntityKind::Assignment => of::ASSIGNMENT,
        EntityKind::StackStatus => of::STATUS,
        EntityKind::Event => of::EVENT,
        EntityKind::Environment | EntityKind::Grant | EntityKind::JoinToken | EntityKind::AgentSilence => of::DOCUMENT,
        EntityKind::StackRelease | EntityKind::Pin => of::DOCUMENT,
    }
}

/// The row of an entity: its serialisation, or the columns of the table of documents.
fn row_of(change: &Change, entity: Value) -> StoreResult<Value> {
    let key = change.key();
    if key.kind().storage() == Storage::Table {
        return Ok(entity);
    }
    Ok(json!({
        "id": key.ids().0,
        "kind": key.kind(),
        "generator_id": change.generator(),
        "name": change.name(),
        "labels": change.labels().map_or_else(|| json!({}), |labels| json!(labels)),
        "deleted_at": entity.get("deleted_at"),
        "body": entity,
        "version": change.version(),
    }))
}

/// A commit as JSON rows, ready to be sent.
struct Rows<'a> {
    commit: &'a Commit,
    /// New entities by kind.
    new: BTreeMap<EntityKind, Vec<Value>>,
    changed: BTreeMap<EntityKind, Vec<Value>>,
    changes: Vec<Value>,
    audit: Vec<Value>,
}

/// Commits one decision. After [`StoreError::Unavailable`] the outcome is unknown.
pub(crate) async fn commit(database: &Database, commit: &Commit) -> StoreResult<Committed> {
    commit.validate()?;
    let rows = Rows::of(commit)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let mut session = database.session().await.map_err(meaning)?;
        let written = rows.write(&mut session).await;
        if let Err(Failure::Database(error)) = &written {
            session.close_if_timed_out(error);
        }
        match written {
            Err(Failure::Database(error)) if is_retryable(&error) && tries < TRIES => {}
            Err(Failure::Database(error)) => return Err(rows.name(meaning(error))),
            Err(Failure::Refused(error)) => return Err(error),
            Ok(committed) => return Ok(committed),
        }
    }
}

/// Records denied and failed attempts. Idempotent.
pub(crate) async fn record_attempts(database: &Database, records: &[AuditRecord]) -> StoreResult<()> {
    let records = records.iter().map(audit_row).collect::<StoreResult<Vec<_>>>()?;
    sqlx::query(INSERT_AUDIT).bind(Json(records)).execute(database).await.map_err(meaning)?;
    Ok(())
}

/// Records the answer to a request that needed no change.
pub(crate) async fn keep_answer(database: &Database, record: &IdempotencyRecord) -> StoreResult<()> {
    let answer = Answer::of(record);
    if let Some(keep) = answer.keep(record) {
        keep.execute(database).await.map_err(meaning)?;
    }
    refuse_taken(answer.take_key().execute(database).await.map_err(meaning)?)
}

/// The row of an idempotency record. A large outcome has a row of its own, which equal outcomes share.
struct Answer {
    row: Value,
    digest: Option<Digest>,
}

impl Answer {
    fn of(record: &IdempotencyRecord) -> Self {
        let outcome = record.outcome.to_string();
        let digest = (outcome.len() > SMALL_ANSWER).then(|| Digest::of(outcome.as_bytes()));
        let mut row = json!({
            "actor": record.actor,
            "key": record.key,
            "fingerprint": record.fingerprint,
            "outcome": {},
            "answer": digest,
            "at": record.at,
        });
        if digest.is_none() {
            row["outcome"] = record.outcome.clone();
        }
        Self { row, digest }
    }

    /// The statement that keeps a large outcome; it precedes the one that takes the key.
    fn keep<'q>(&self, record: &'q IdempotencyRecord) -> Option<Query<'q, Postgres, PgArguments>> {
        let digest = self.digest?.to_string();
        Some(sqlx::query(KEEP_ANSWER).bind(digest).bind(Json(&record.outcome)).bind(record.at.to_string()))
    }

    fn take_key(&self) -> Query<'_, Postgres, PgArguments> {
        let hours = i32::try_from(limits::IDEMPOTENCY_HOURS).unwrap_or(i32::MAX);
        sqlx::query(TAKE_KEY).bind(Json(&self.row)).bind(hours)
    }
}

fn refuse_taken(taken: PgQueryResult) -> StoreResult<()> {
    if taken.rows_affected() == 0 { Err(StoreError::NotUnique(UniqueKey::IdempotencyKey)) } else { Ok(()) }
}

fn audit_row(record: &AuditRecord) -> StoreResult<Value> {
    let mut row = value(record)?;
    row["actor_text"] = json!(record.actor.to_string());
    Ok(row)
}

fn value(entity: &impl Serialize) -> StoreResult<Value> {
    serde_json::to_value(entity).map_err(|error| StoreError::Internal(Box::new(error)))
}

enum Failure {
    Database(sqlx::Error),
    Refused(StoreError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl<'a> Rows<'a> {
    fn of(commit: &'a Commit) -> StoreResult<Self> {
        let mut prepared = Self {
            commit,
            new: BTreeMap::new(),
            changed: BTreeMap::new(),
            changes: Vec::with_capacity(commit.changes.len()),
            audit: commit.audit.iter().map(audit_row).collect::<StoreResult<_>>()?,
        };
        for change in &commit.changes {
            let mut record = value(change)?;
            record["generator_id"] = value(&change.generator())?;
            let entities = if change.version() == Version::FIRST { &mut prepared.new } else { &mut prepared.changed };
            entities.entry(change.key().kind()).or_default().push(row_of(change, record["entity"].clone())?);
            prepared.changes.push(record);
        }
        Ok(prepared)
    }

    async fn write<C: Link>(&self, session: &mut Session<C>) -> Result<Committed, Failure> {
        let mut work = session.begin().await?;
        self.check_fences(&mut work).await?;
        quota::check(&mut work, self.commit).await?.map_err(Failure::Refused)?;
        self.lock_names(&mut work).await?;
        if let Some(record) = &self.commit.idempotency {
            let answer = Answer::of(record);
            if let Some(keep) = answer.keep(record) {
                keep.execute(&mut work).await?;
            }
            refuse_taken(answer.take_key().execute(&mut work).await?).map_err(Failure::Refused)?;
        }
        self.check_preconditions(&mut work).await?;
        if !self.commit.contents.is_empty() {
            let (digests, bytes): (Vec<String>, Vec<&[u8]>) =
                self.commit.contents.iter().map(|(digest, bytes)| (digest.to_string(), &bytes[..])).unzip();
            sqlx::query(INSERT_CONTENT).bind(digests).bind(bytes).execute(&mut work).await?;
        }
        for kind in EntityKind::ALL {
            self.write_kind(&mut work, *kind).await?;
        }
        self.check_owners(&mut work).await?;
        self.check_environments(&mut work).await?;
        let places: Vec<(i32, String)> = sqlx::query_as(INSERT_RECORDS)
            .bind(Json(&self.audit))
            .bind(Json(&self.changes))
            .bind(self.commit.at.to_string())
            .bind(Json(self.commit.actor))
            .bind(self.commit.request_id.as_uuid())
            .fetch_all(&mut work)
            .await?;
        work.commit().await?;
        let (history, number) = places.first().ok_or(sqlx::Error::RowNotFound)?;
        let number: u64 = number.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let history = u64::try_from(*history).unwrap_or(0);
        Ok(Committed { position: FeedPosition { history, transaction: number, sequence: places.len() as u64 } })
    }

    async fn lock_names(&self, work: &mut Work<'_>) -> Result<(), Failure> {
        let names: Vec<String> = self.commit.changes.iter().filter_map(unique_name).collect();
        if !names.is_empty() {
            sqlx::query(LOCK_NAMES).bind(names).execute(work).await?;
        }
        Ok(())
    }

    /// Writes the entities of a kind. Changed ones come first, so that a new entity can take a name that another one
    /// gives up.
    async fn write_kind(&self, work: &mut Work<'_>, kind: EntityKind) -> Result<(), Failure> {
        let table = table(kind);
        let changed = self.changed.get(&kind).map(|rows| (table.update, rows));
        let new = self.new.get(&kind).map(|rows| (Some(table.insert), rows));
        for (statement, rows) in changed.into_iter().chain(new) {
            let Some(statement) = statement else {
                return Err(self.lost(kind));
            };
            let written = sqlx::query(statement).bind(Json(rows)).execute(&mut *work).await?.rows_affected();
            if written != rows.len() as u64 {
                return Err(self.lost(kind));
            }
            if kind == EntityKind::Agent {
                for statement in [tables::UNREGISTER, tables::REGISTER] {
                    sqlx::query(statement).bind(Json(rows)).execute(&mut *work).await?;
                }
            }
        }
        Ok(())
    }

    /// Locks the leases of the preconditions until the commit. They come first: whoever lost one makes nobody wait.
    async fn check_fences(&self, work: &mut Work<'_>) -> Result<(), Failure> {
        for precondition in &self.commit.preconditions {
            let Precondition::Lease(fence) = precondition else { continue };
            let fencing = i64::try_from(fence.fencing).unwrap_or(i64::MAX);
            let query = sqlx::query(LOCK_LEASE).bind(&fence.name).bind(fencing);
            if query.fetch_optional(&mut *work).await?.is_none() {
                return Err(Failure::Refused(StoreError::Fenced(fence.name.clone())));
            }
        }
        Ok(())
    }

    /// Locks the entities of the preconditions until the commit, by kind and id, so that two commits do not deadlock.
    async fn check_preconditions(&self, work: &mut Work<'_>) -> Result<(), Failure> {
        let mut by_kind: BTreeMap<EntityKind, BTreeSet<(Uuid, Uuid, i64)>> = BTreeMap::new();
        for (key, version) in self.versions() {
            let (one, other) = key.ids();
            let version = i64::try_from(version.get()).unwrap_or(i64::MAX);
            by_kind.entry(key.kind()).or_default().insert((one, other.unwrap_or_default(), version));
        }
        for (kind, wanted) in by_kind {
            let ones: Vec<Uuid> = wanted.iter().map(|it| it.0).collect();
            let versions: Vec<i64> = wanted.iter().map(|it| it.2).collect();
            let query = sqlx::query(table(kind).lock).bind(ones);
            let query = if kind.is_pair() {
                query.bind(wanted.iter().map(|it| it.1).collect::<Vec<Uuid>>()).bind(versions)
            } else {
                query.bind(versions)
            };
            if query.fetch_all(&mut *work).await?.len() != wanted.len() {
                return Err(self.lost(kind));
            }
        }
        Ok(())
    }

    /// The versions among the preconditions.
    fn versions(&self) -> impl Iterator<Item = (&EntityKey, &Version)> {
        self.commit.preconditions.iter().filter_map(|it| match it {
            Precondition::Version(key, version) => Some((key, version)),
            Precondition::OwnsNoStacks(_) | Precondition::NamedByNothing(_) => None,
            Precondition::Within(..) | Precondition::Lease(_) => None,
        })
    }

    /// A commit that creates a stack locks the stack's owner. This commit has already changed the owner, so it sees
    /// earlier stacks, and later ones fail.
    async fn check_owners(&self, work: &mut Work<'_>) -> Result<(), Failure> {
        for precondition in &self.commit.preconditions {
            let Precondition::OwnsNoStacks(owner) = precondition else { continue };
            let owns: bool = sqlx::query_scalar(OWNS_STACKS).bind(owner.as_uuid()).fetch_one(&mut *work).await?;
            if owns {
                return Err(Failure::Refused(StoreError::Conflict(EntityKey::Generator(*owner))));
            }
        }
        Ok(())
    }

    /// A commit that names an environment locks it. This commit has already changed the environment, so it sees earlier
    /// names, and later ones fail.
    async fn check_environments(&self, work: &mut Work<'_>) -> Result<(), Failure> {
        for precondition in &self.commit.preconditions {
            let Precondition::NamedByNothing(id) = precondition else { continue };
            let Some(name) = self.commit.changed_environment(*id) else { continue };
            let query = sqlx::query_scalar(NAMES_ENVIRONMENT).bind(name.as_str()).bind(self.commit.at.to_string());
            let is_named: bool = query.fetch_one(&mut *work).await?;
            if is_named {
                return Err(Failure::Refused(StoreError::Conflict(EntityKey::Environment(*id))));
            }
        }
        Ok(())
    }

    /// The conflict on an entity of a kind.
    fn lost(&self, kind: EntityKind) -> Failure {
        let keys = self.commit.changes.iter().map(Change::key).chain(self.versions().map(|(key, _)| *key));
        let mut of_kind = keys.filter(|key| key.kind() == kind);
        Failure::Refused(
            of_kind.next().map_or(StoreError::Malformed("the commit has no entity of this kind"), StoreError::Conflict),
        )
    }

    /// Adds the revision or the kind, which the database's error does not contain.
    fn name(&self, error: StoreError) -> StoreError {
        let StoreError::NotUnique(key) = error else { return error };
        let named = self.commit.changes.iter().find_map(|change| match (&key, change) {
            (UniqueKey::StackRevision(_), Change::DeploymentObject(it)) => Some(UniqueKey::StackRevision(it.revision)),
            (UniqueKey::Name(_), change) if change.key().kind().storage() == Storage::Document => {
                Some(UniqueKey::Name(change.key().kind()))
            }
            _ => None,
        });
        StoreError::NotUnique(named.unwrap_or(key))
    }
}

/// The name that a change takes or gives up, with the namespace in which it is unique. Names do not change.
fn unique_name(change: &Change) -> Option<String> {
    let name = match change {
        Change::Generator(it) => format!("generator {}", it.name),
        Change::Agent(it) => format!("agent {}", it.name),
        Change::Stack(it) => format!("stack {} {}", it.generator_id, it.name),
        other if other.key().kind().storage() == Storage::Document => {
            let owner = other.generator().map_or(Uuid::nil(), |id| id.as_uuid());
            format!("{} {owner} {}", other.key().kind(), other.name()?)
        }
        _ => return None,
    };
    (change.is_tombstone() || change.version() == Version::FIRST).then_some(name)
}
