//! A [`Store`](brokkr_core::store::Store) on PostgreSQL 14 or later, shared by any number of brokers.
//!
//! All tables are in the schema `brokkr`; the database may contain other schemas. There are two roles: the *owner* runs
//! [`migrate`] and owns the tables; the *broker* has only the rights that it needs and cannot change immutable rows.
//! [`roles_sql`] is the SQL that creates them.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use brokkr_store_postgres::{PostgresConfig, PostgresStore, migrate};
//!
//! migrate("postgres://brokkr_owner:…@db/brokkr", Some("brokkr_broker")).await?;
//! let store = PostgresStore::connect(PostgresConfig::new("postgres://brokkr_broker:…@db/brokkr")).await?;
//! # Ok(()) }
//! ```
//!
//! A commit becomes visible to other brokers within milliseconds, or within about half a second without notifications:
//! see [`PostgresConfig::notify`].

mod commit;
mod config;
mod connect;
mod database;
mod error;
mod feed;
mod history;
mod migrate;
mod notify;
mod query;
mod quota;
mod read;
mod roles;
mod server_run;
mod session;
mod store;
mod tables;
mod telemetry;
mod upkeep;
mod view;
mod view_reader;

/// All statements with their names, for tests.
#[doc(hidden)]
pub fn statements() -> Vec<(&'static str, &'static str)> {
    let others = [
        commit::STATEMENTS,
        feed::STATEMENTS,
        history::STATEMENTS,
        migrate::STATEMENTS,
        notify::STATEMENTS,
        quota::STATEMENTS,
        roles::STATEMENTS,
        server_run::STATEMENTS,
        store::STATEMENTS,
        tables::STATEMENTS,
        telemetry::STATEMENTS,
        upkeep::STATEMENTS,
        view::STATEMENTS,
    ];
    others.iter().chain(read::STATEMENTS).flat_map(|it| it.iter().copied()).collect()
}

pub use config::PostgresConfig;
pub use error::{ConnectError, MigrateError};
pub use migrate::migrate;
#[doc(hidden)]
pub use migrate::migrate_steps;
pub use roles::roles_sql;
pub use store::PostgresStore;
