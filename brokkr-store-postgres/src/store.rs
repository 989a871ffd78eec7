//! The PostgreSQL store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use brokkr_core::model::{AuditRecord, Epoch, GeneratorId, InstanceId, Quota, Timestamp};
use brokkr_core::store::{
    Activity, Commit, Committed, Coordination, FeedPage, FeedPosition, IdempotencyRecord, Lease, LeaseRecord,
    Maintenance, Retention, Scope, Store, StoreError, StoreResult, ViewSnapshot, ViewTail, ViewToken,
};
use metrics::{Unit, describe_gauge, gauge};
use serde_json::Value;
use sqlx::types::Json;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::PostgresConfig;
use crate::database::Database;
use crate::error::{ConnectError, meaning};
use crate::history::Unless;
use crate::query::statements;
use crate::view_reader::ViewReader;
use crate::{commit, connect, feed, history, migrate, notify, quota, roles, telemetry, upkeep};

statements! {
    CHECK = "SELECT 1";
    IDEMPOTENCY = "SELECT to_jsonb(t) || CASE WHEN a.digest IS NULL THEN '{}' ELSE jsonb_build_object('outcome', a.outcome) END
        FROM brokkr.idempotency t LEFT JOIN brokkr.idempotency_answer a ON a.digest = t.answer
        WHERE t.actor = $1 AND t.key = $2 AND t.at > $3::text::timestamptz";
    /// The age in seconds of the oldest change that the feed does not show yet.
    FEED_LAG = "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(c.at)), 0)::float8 FROM brokkr.change c
        WHERE c.epoch = (SELECT max(number) FROM brokkr.history)
            AND c.transaction >= pg_snapshot_xmin(pg_current_snapshot())";
    SECRET = "SELECT secret FROM brokkr.secret";
    MIGRATED = "SELECT coalesce(max(version), 0) FROM brokkr._migrations WHERE success";
    IS_MIGRATED = "SELECT to_regclass('brokkr._migrations') IS NOT NULL";
}

/// A store in a PostgreSQL database, shared with any number of other brokers.
///
/// Dropping the store stops its background tasks.
pub struct PostgresStore {
    pub(crate) database: Database,
    /// Changes immediately with own commits, and with a notification for commits of other brokers.
    news: watch::Sender<u64>,
    committed: Arc<Notify>,
    view: ViewReader,
    _background: DropGuard,
}

impl PostgresStore {
    /// Connects to the database, and checks that the schema is up to date and that the role cannot change immutable
    /// records.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]. Each variant's text says what to do.
    pub async fn connect(config: PostgresConfig) -> Result<Self, ConnectError> {
        describe_gauge!("brokkr_database_connections", "Connections of the pool");
        describe_gauge!(
            "brokkr_feed_lag_seconds",
            Unit::Seconds,
            "Age of the oldest change that the feed does not show yet"
        );
        let database = Database::new(connect::pool(&config)?, config.pooled, connect::step_timeout(&config));
        let found: i64 = if sqlx::query_scalar(IS_MIGRATED).fetch_one(&database).await.map_err(ConnectError::of)? {
            sqlx::query_scalar(MIGRATED).fetch_one(&database).await.map_err(ConnectError::of)?
        } else {
            0
        };
        let needed = migrate::newest();
        if found < needed {
            return Err(ConnectError::Schema { found, needed });
        }
        if !config.allow_privileged_role {
            roles::check(&database).await?;
        }
        let mut session = database.session().await.map_err(ConnectError::of)?;
        history::ensure_current(&mut session).await.map_err(ConnectError::of)?;
        drop(session);
        let (news, committed, stop) = (watch::Sender::new(0), Arc::new(Notify::new()), CancellationToken::new());
        if config.notify && !config.pooled {
            tokio::spawn(notify::send(database.clone(), committed.clone(), stop.clone()));
            tokio::spawn(notify::listen(connect::options(&config)?, news.clone(), stop.clone()));
        }
        let view = ViewReader::new(connect::options(&config)?, config.pooled, config.acquire_timeout);
        Ok(Self { database, view, news, committed, _background: stop.drop_guard() })
    }

    /// Begins a new epoch and returns it. Agents remove nothing until an admin confirms it.
    ///
    /// Call this after the data was set back in a way that the store cannot detect, for example by a disk snapshot.
    /// `reason` is recorded for people.
    pub async fn begin_history(&self, reason: &str) -> StoreResult<Epoch> {
        let mut session = self.database.session().await.map_err(meaning)?;
        history::begin(&mut session, reason, Unless::Never).await.map_err(meaning)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("connections", &self.database.pool.size())
            .field("idle", &self.database.pool.num_idle())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, commit: Commit) -> StoreResult<Committed> {
        let committed = commit::commit(&self.database, &commit).await?;
        self.news.send_modify(|count| *count += 1);
        self.committed.notify_one();
        Ok(committed)
    }

    async fn record_attempts(&self, records: Vec<AuditRecord>) -> StoreResult<()> {
        commit::record_attempts(&self.database, &records).await
    }

    async fn record_activity(&self, activity: Activity) -> StoreResult<()> {
        telemetry::record(&self.database, &activity).await
    }

    async fn idempotency_find(
        &self,
        actor: &str,
        key: &str,
        after: Timestamp,
    ) -> StoreResult<Option<IdempotencyRecord>> {
        let query = sqlx::query_scalar(IDEMPOTENCY).bind(actor).bind(key).bind(after.to_string());
        let record: Option<Json<IdempotencyRecord>> = query.fetch_optional(&self.database).await.map_err(meaning)?;
        Ok(record.map(|Json(record)| record))
    }

    async fn idempotency_keep(&self, record: IdempotencyRecord) -> StoreResult<()> {
        commit::keep_answer(&self.database, &record).await
    }

    async fn quota_used(&self, generator: GeneratorId, quota: Quota) -> StoreResult<u64> {
        quota::used(&self.database, generator, quota).await.map_err(meaning)
    }

    async fn feed(&self, scope: &Scope, after: FeedPosition, limit: usize) -> StoreResult<FeedPage> {
        feed::read(&self.database, scope, after, limit).await
    }

    async fn view_snapshot(&self) -> StoreResult<ViewSnapshot> {
        self.view.snapshot().await
    }

    async fn view_tail(&self, token: &ViewToken) -> StoreResult<ViewTail> {
        self.view.tail(token).await
    }
}

#[async_trait]
impl Coordination for PostgresStore {
    async fn lease_take(&self, name: &str, holder: InstanceId, valid_for: Duration) -> StoreResult<Option<Lease>> {
        upkeep::take(&self.database, name, holder, valid_for).await
    }

    async fn lease_release(&self, name: &str, holder: InstanceId) -> StoreResult<()> {
        upkeep::release(&self.database, name, holder).await
    }

    async fn lease_note(&self, name: &str, note: Value) -> StoreResult<()> {
        upkeep::note(&self.database, name, &note).await
    }

    async fn lease_list(&self) -> StoreResult<Vec<LeaseRecord>> {
        upkeep::list(&self.database).await
    }

    async fn secret(&self) -> StoreResult<[u8; 32]> {
        let secret: Vec<u8> = sqlx::query_scalar(SECRET).fetch_one(&self.database).await.map_err(meaning)?;
        secret.try_into().map_err(|_| StoreError::Internal("the stored secret does not have 32 bytes".into()))
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}

#[async_trait]
impl Maintenance for PostgresStore {
    async fn purge(&self, keep: &Retention) -> StoreResult<u64> {
        upkeep::purge(&self.database, keep).await
    }

    async fn observe(&self) {
        gauge!("brokkr_database_connections", "state" => "open").set(f64::from(self.database.pool.size()));
        gauge!("brokkr_database_connections", "state" => "idle").set(self.database.pool.num_idle() as f64);
        // On an error the gauge keeps its value; other metrics and logs show that the database is unavailable.
        if let Ok(lag) = sqlx::query_scalar::<_, f64>(FEED_LAG).fetch_one(&self.database).await {
            gauge!("brokkr_feed_lag_seconds").set(lag);
        }
    }

    async fn check(&self) -> StoreResult<()> {
        sqlx::query(CHECK).execute(&self.database).await.map_err(meaning)?;
        Ok(())
    }
}
