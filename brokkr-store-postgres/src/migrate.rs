//! Bringing the schema up to date, while brokers of the version before go on serving.

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

/// Where it is kept which migrations were run: beside our tables, apart from those of the host.
const TABLE: &str = "brokkr._migrations";
/// How long a step waits for a lock. Whoever wants the same table meanwhile waits behind it, so it is short.
const LOCK_TIMEOUT: &str = "1s";
/// How often that is tried, and the pause in which those who waited behind it get on.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// The steps by number. The macro of sqlx that reads a folder would compile the whole driver a second time.
const MIGRATIONS: [(i64, &str, &str); 7] = [
    (1, "entities", include_str!("../migrations/0001_entities.sql")),
    (2, "records", include_str!("../migrations/0002_records.sql")),
    (3, "operation", include_str!("../migrations/0003_operation.sql")),
    (4, "retention", include_str!("../migrations/0004_retention.sql")),
    (5, "rights", include_str!("../migrations/0005_rights.sql")),
    (6, "run", include_str!("../migrations/0006_run.sql")),
    (7, "documents", include_str!("../migrations/0007_documents.sql")),
];

fn migrations() -> impl Iterator<Item = Migration> {
    MIGRATIONS.into_iter().map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    })
}

statements! {
    /// One migration at a time. The number is arbitrary.
    ALONE = "SELECT pg_advisory_lock(8246330294231848)";
    /// A server notices that whoever migrates is gone, in the middle of a long statement too. Not every system can.
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

/// The newest migration that this version needs.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

/// Brings the schema up to date, as its owner, and gives the broker's role its rights.
///
/// Each step is a transaction that waits at most a second for a lock and is tried several times, so that brokers that run
/// meanwhile are not held up for longer; whatever was interrupted, running it again goes on from there. Connect to
/// the server itself, not to a proxy that pools transactions. `broker_role` must exist already
/// ([`roles_sql`](crate::roles_sql)); `None` for development with one role for everything.
///
/// # Errors
///
/// [`MigrateError`]; repeat it when a lock could not be had.
pub async fn migrate(owner_url: impl Into<SecretString>, broker_role: Option<&str>) -> Result<(), MigrateError> {
    run(&owner_url.into(), broker_role, migrations().collect()).await
}

/// The steps up to one, and then others, for tests of how steps are run.
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
    // Our own lock covers the rights as well.
    migrator.set_locking(false);
    let mut alone = false;
    let mut holders: Option<BTreeSet<String>> = None;
    for _ in 0..TRIES {
        match attempt(&mut connection, &migrator, broker_role, &mut alone).await {
            Err(error) if error.is_held_up() => tracing::info!(%error, "held up by others; once more"),
            Err(error) => return Err(error),
            Ok(()) => return connection.close().await.map_err(MigrateError::database),
        }
        let now: Vec<String> =
            sqlx::query_scalar(HOLDERS).fetch_all(&mut connection).await.map_err(MigrateError::database)?;
        // Who held one at every try is in the way; others come and go.
        holders = Some(match holders {
            None => now.into_iter().collect(),
            Some(before) => now.into_iter().filter(|it| before.contains(it)).collect(),
        });
        tokio::time::sleep(PAUSE).await;
    }
    let holders: Vec<String> = holders.into_iter().flatten().collect();
    let holders = if holders.is_empty() { "others, in turn, hold it".to_owned() } else { holders.join(", ") };
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
    fn every_file_is_a_step() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).expect("the folder");
        let mut files: Vec<String> =
            folder.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect();
        files.sort();
        let steps: Vec<String> =
            MIGRATIONS.iter().map(|(version, name, _)| format!("{version:04}_{name}.sql")).collect();
        assert_eq!(steps, files);
    }
}
