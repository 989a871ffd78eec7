//! Faults of PostgreSQL and of brokers on it.

mod disk;
mod fixture;
mod frozen;
mod hints;
mod kills;
mod order;
mod polling_across_brokers;
mod restore;
mod rolling;
mod silent;

pub(crate) use fixture::Database;

use crate::{Outcome, Result};

/// The names of all faults, in order of execution.
pub(crate) const ALL: [&str; 12] = [
    "feed-order",
    "server-killed",
    "server-frozen",
    "disk-full",
    "listener-killed",
    "foreign-transaction",
    "replica-frozen",
    "agents-hop",
    "replicas-restarted",
    "replica-killed",
    "restored-dump",
    "restored-files",
];

pub(crate) async fn one(name: &str) -> Result<Outcome> {
    match name {
        "feed-order" => order::run().await,
        "server-killed" => kills::run().await,
        "server-frozen" => silent::run().await,
        "disk-full" => disk::run().await,
        "listener-killed" => hints::listener_killed().await,
        "foreign-transaction" => hints::foreign_transaction().await,
        "replica-frozen" => frozen::run().await,
        "agents-hop" => polling_across_brokers::run().await,
        "replicas-restarted" => rolling::restarted().await,
        "replica-killed" => rolling::killed().await,
        "restored-dump" => restore::dump().await,
        "restored-files" => restore::files().await,
        name => Err(format!("no fault named {name}").into()),
    }
}
