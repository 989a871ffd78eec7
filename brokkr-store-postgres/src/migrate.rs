//! Schema migrations, which run while brokers of the previous version keep serving.

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, SqlSafeStr as _};

use crate::error::MigrateError;
use crate::query::statements;
use crate::roles;

/// The table of applied migrations. It is in Brokkr's schema, apart from the host's own migrations.
const TABLE: &str = "brokkr._migrations";
/// How long a step waits for a lock. Short, because other statements on the same table queue behind it.
const LOCK_TIMEOUT: &str = "1s";
/// Attempts to get the locks, and the pause between them, in which queued statements proceed.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// The migrations by number. The macro of sqlx that reads a folder would compile the driver a second time.
const MIGRATIONS: [(i64, &str, &str); 15] = [
    (1, "entities", include_str!("../migrations/0001_entities.sql")),
    (2, "records", include_str!("../migrations/0002_records.sql")),
    (3, "operation", include_str!("../migrations/0003_operation.sql")),
    (4, "retention", include_str!("../migrations/0004_retention.sql")),
    (5, "rights", include_str!("../migrations/0005_rights.sql")),
    (6, "run", include_str!("../migrations/0006_run.sql")),
    (7, "documents", include_str!("../migrations/0007_documents.sql")),
    (8, "grants", include_str!("../migrations/0008_grants.sql")),
    (9, "answers", include_str!("../migrations/0009_answers.sql")),
    (10, "keys", include_str!("../migrations/0010_keys.sql")),
    (11, "audit_changes", include_str!("../migrations/0011_audit_changes.sql")),
    (12, "usage", include_str!("../migrations/0012_usage.sql")),
    (13, "desired", include_str!("../migrations/0013_desired.sql")),
    (14, "environments", include_str!("../migrations/0014_environments.sql")),
    (15, "controllers", include_str!("../migrations/0015_controllers.sql")),
];

fn migrations() -> impl Iterator<Item = Migration> {
    MIGRATIONS.into_iter().map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    })
}

statements! {
    /// Serialises migrations. The number is arbitrary.
    ALONE = "SELECT pg_advisory_lock(8246330294231848)";
    /// Lets the server end a long statement when the client disappears. Not supported on every operating system.
    NOTICE = "SELECT set_config('client_connection_check_interval', '1s', false)";
    HOLDERS = "SELECT DISTINCT concat('session ', l.pid, ' of ' || a.usename, CASE l.locktype
                WHEN 'relation' THEN concat(' holds ', l.mode, ' on ', c.relname) ELSE ' migrates' END)
        FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.granted AND l.pid <> pg_backend_pid()
            AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            AND CASE l.locktype
                WHEN 'relation' THEN c.relkind IN ('r', 'p') AND (c.relnamespace = to_regnamespace('brokkr')
                    OR l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
                WHEN 'advisory' THEN (l.classid::bigint << 32) + l.objid::bigint = 8246330294231848
                ELSE false END";
}

/// The newest migration, which this version needs.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

/// Migrates the schema to this version and grants `broker_role` its rights.
///
/// Connect as the owner of the schema, to the server itself, not to a connection pooler in transaction mode. `broker_role` must
/// exist ([`roles_sql`](crate::roles_sql)); pass `None` for development with one role for everything.
///
/// Running brokers keep serving: each step is a transaction that waits at most 1 s for locks and is tried up to 10
/// times. An interrupted migration continues when it is run again; an up-to-date schema stays unchanged.
///
/// # Errors
///
/// [`MigrateError`]. On [`Locked`](MigrateError::Locked), run the migration again later.
pub async fn migrate(owner_url: impl Into<SecretString>, broker_role: Option<&str>) -> Result<(), MigrateError> {
    run(&owner_url.into(), broker_role, migrations().collect()).await
}

/// Runs the steps up to `last` and then `others`, for tests of the migration itself.
#[doc(hidden)]
pub async fn migrate_steps(
    owner_url: &SecretString,
    last: i64,
    others: &[(i64, &'static str)],
) -> Result<(), MigrateError> {
    let first = migrations().filter(|it| it.version <= last);
    let others = others.iter().map(|(version, sql)| {
        Migration::new(*version, "other".into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    run(owner_url, None, first.chain(others).collect()).await
}

async fn run(
    owner_url: &SecretString,
    broker_role: Option<&str>,
    migrations: Vec<Migration>,
) -> Result<(), MigrateError> {
    let options =
        PgConnectOptions::from_str(owner_url.expose_secret()).map_err(|error| MigrateError::Address(error.into()))?;
    let options = options.application_name("brokkr-migrate").options([("lock_timeout", LOCK_TIMEOUT)]);
    let mut connection = PgConnection::connect_with(&options).await.map_err(MigrateError::of)?;
    let _ = connection.execute(NOTICE).await;
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.dangerous_set_table_name(TABLE);
    migrator.create_schema("brokkr");
    // The advisory lock below covers the grants as well.
    migrator.set_locking(false);
    let mut alone = false;
    let mut holders: Option<BTreeSet<String>> = None;
    for _ in 0..TRIES {
        match attempt(&mut connection, &migrator, broker_role, &mut alone).await {
            Err(error) if error.is_held_up() => {
                tracing::info!(%error, "a migration step did not get its locks; trying again")
            }
            Err(error) => return Err(error),
            Ok(()) => return connection.close().await.map_err(MigrateError::database),
        }
        let now: Vec<String> =
            sqlx::query_scalar(HOLDERS).fetch_all(&mut connection).await.map_err(MigrateError::database)?;
        // Report only sessions that held a lock at every attempt.
        holders = Some(match holders {
            None => now.into_iter().collect(),
            Some(before) => now.into_iter().filter(|it| before.contains(it)).collect(),
        });
        tokio::time::sleep(PAUSE).await;
    }
    let holders: Vec<String> = holders.into_iter().flatten().collect();
    let holders = if holders.is_empty() { "different sessions in turn".to_owned() } else { holders.join(", ") };
    Err(MigrateError::Locked { tries: TRIES, holders })
}

async fn attempt(
    connection: &mut PgConnection,
    migrator: &Migrator,
    broker_role: Option<&str>,
    alone: &mut bool,
) -> Result<(), MigrateError> {
    if !*alone {
        sqlx::query(ALONE).execute(&mut *connection).await.map_err(MigrateError::database)?;
        *alone = true;
    }
    migrator.run(&mut *connection).await.map_err(|error| MigrateError::Step(error.into()))?;
    if let Some(role) = broker_role {
        roles::grant(connection, role).await.map_err(MigrateError::database)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_file_is_listed() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).expect("the folder");
        let mut files: Vec<String> =
            folder.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect();
        files.sort();
        let steps: Vec<String> =
            MIGRATIONS.iter().map(|(version, name, _)| format!("{version:04}_{name}.sql")).collect();
        assert_eq!(steps, files);
    }
}
