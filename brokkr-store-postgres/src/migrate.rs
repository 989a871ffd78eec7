//! Bringing the schema up to date.

use std::str::FromStr as _;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use crate::error::MigrateError;
use crate::roles;

/// Where it is kept which migrations were run: beside our tables, apart from those of the host.
const TABLE: &str = "brokkr._migrations";

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The newest migration that this version needs.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Brings the schema up to date, as its owner, and gives the broker's role its rights.
///
/// Each step is a transaction that waits at most 3 s for a lock, so that brokers that run meanwhile are not held up;
/// whatever was interrupted, running it again goes on from there. `broker_role` must exist already ([`roles_sql`](crate::roles_sql));
/// `None` for development with one role for everything.
///
/// # Errors
///
/// [`MigrateError`]; repeat it when a lock could not be had.
pub async fn migrate(owner_url: &SecretString, broker_role: Option<&str>) -> Result<(), MigrateError> {
    let options = PgConnectOptions::from_str(owner_url.expose_secret()).map_err(MigrateError::Address)?;
    let options = options.application_name("brokkr-migrate").options([("lock_timeout", "3s")]);
    let mut connection = PgConnection::connect_with(&options).await.map_err(MigrateError::Database)?;
    let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
    migrator.dangerous_set_table_name(TABLE);
    migrator.create_schema("brokkr");
    migrator.run(&mut connection).await.map_err(MigrateError::Step)?;
    if let Some(role) = broker_role {
        roles::grant(&mut connection, role).await.map_err(MigrateError::Database)?;
    }
    connection.close().await.map_err(MigrateError::Database)
}
