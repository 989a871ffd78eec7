//! Brokkr's [`Store`](brokkr_core::store::Store) on PostgreSQL (14 or later), for any number of brokers at the same
//! time.
//!
//! Everything lives in the schema `brokkr`, each noun in a table of its own, next to whatever else the database has.
//! Two roles take part: the *owner* runs [`migrate`] and owns the tables; the *broker* reads and writes with the rights
//! that it needs and cannot change what is immutable. [`roles_sql`] is the SQL that makes them.
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
//! What brokers write becomes visible to each other within a second at the latest, and as a rule within some
//! milliseconds: see [`PostgresConfig::notify`].

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
mod read;
mod reader;
mod roles;
mod run;
mod session;
mod store;
mod tables;
mod telemetry;
mod upkeep;
mod view;

/// Every statement with its name, for tests that look at all of them.
#[doc(hidden)]
pub fn statements() -> Vec<(&'static str, &'static str)> {
    let others = [
        commit::STATEMENTS,
        feed::STATEMENTS,
        history::STATEMENTS,
        migrate::STATEMENTS,
        notify::STATEMENTS,
        roles::STATEMENTS,
        run::STATEMENTS,
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
