//! The database commands of `brokkr-broker`.

use std::error::Error;
use std::sync::Arc;

use brokkr_core::store::{MemoryStore, Store};
use brokkr_store_postgres::{PostgresConfig, PostgresStore, roles_sql};
use clap::{Args, Subcommand};

use crate::settings::BrokerSettings;

/// The connection to the database.
#[derive(Args)]
pub(crate) struct DatabaseArgs {
    /// Database URL for the broker's role. Default: a store in memory.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    #[arg(long, help = format!("Size of the connection pool [default: {}]", PostgresConfig::MAX_CONNECTIONS))]
    database_connections: Option<u32>,
    /// Set behind a transaction-pooling proxy: disables prepared statements and LISTEN.
    #[arg(long)]
    database_pooled: bool,
    /// Accept a role that can change history: a superuser or the owner of the tables. For development only.
    #[arg(long)]
    allow_privileged_database_role: bool,
    /// Update the schema before the start, with the same role. For development only; in production run brokkr-broker
    /// migrate.
    #[arg(long)]
    migrate: bool,
}

#[derive(Args)]
pub(crate) struct MigrateArgs {
    /// Database URL for the role that owns the tables.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Role of the brokers, which gets its privileges.
    #[arg(long, default_value = "brokkr_broker")]
    broker_role: String,
    /// Print the SQL that creates both roles, and exit.
    #[arg(long)]
    roles: bool,
    /// With --roles: role that owns the tables.
    #[arg(long, default_value = "brokkr_owner")]
    owner_role: String,
}

#[derive(Subcommand)]
pub(crate) enum EpochCommand {
    /// Begins a new epoch, after the data was restored in a way that the broker cannot detect, such as a disk snapshot.
    /// Agents then remove nothing until an admin confirms the epoch for each of them.
    New {
        /// Database URL for the broker's role.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
        /// Accept a role that can change history.
        #[arg(long)]
        allow_privileged_database_role: bool,
        /// Reason, for the record.
        #[arg(long, default_value = "by command")]
        reason: String,
    },
}

/// Opens the store that the arguments select.
pub(crate) async fn store(args: &DatabaseArgs, settings: &BrokerSettings) -> Result<Arc<dyn Store>, Box<dyn Error>> {
    let Some(url) = &args.database_url else {
        println!("NOTE: all data is in memory and is lost when this process ends; set DATABASE_URL to use a database.");
        println!("      After a restart agents see a new epoch and remove nothing until an admin confirms it.");
        return Ok(Arc::new(MemoryStore::new()));
    };
    if args.migrate {
        brokkr_store_postgres::migrate(url.clone(), None).await?;
        println!("the schema is up to date");
    }
    let connections = args.database_connections.or(settings.database_connections);
    let config = PostgresConfig::new(url.clone())
        .max_connections(connections.unwrap_or(PostgresConfig::MAX_CONNECTIONS))
        .pooled(args.database_pooled || settings.database_pooled.unwrap_or(false))
        .allow_privileged_role(
            args.allow_privileged_database_role || settings.allow_privileged_database_role.unwrap_or(false),
        );
    Ok(Arc::new(PostgresStore::connect(config).await?))
}

pub(crate) async fn migrate(args: MigrateArgs) -> Result<(), Box<dyn Error>> {
    if args.roles {
        print!("{}", roles_sql(&args.owner_role, &args.broker_role));
        return Ok(());
    }
    let url = args
        .database_url
        .ok_or("missing database URL; set DATABASE_URL or --database-url, for the role that owns the tables")?;
    brokkr_store_postgres::migrate(url, Some(&args.broker_role)).await.map_err(|error| {
        format!(
            "{error}\nThe role {} must exist: brokkr-broker migrate --roles prints the SQL that creates it.",
            args.broker_role
        )
    })?;
    println!("the schema is up to date; role {} has its privileges", args.broker_role);
    println!("next: brokkr-broker serve, with DATABASE_URL for {}", args.broker_role);
    Ok(())
}

pub(crate) async fn epoch(command: EpochCommand) -> Result<(), Box<dyn Error>> {
    let EpochCommand::New { database_url, allow_privileged_database_role, reason } = command;
    let config = PostgresConfig::new(database_url).allow_privileged_role(allow_privileged_database_role);
    let epoch = PostgresStore::connect(config).await?.begin_history(&reason).await?;
    println!("new epoch: {epoch}");
    println!("agents apply but remove nothing until an admin confirms each: POST /api/v1/agents/<id>/confirm-epoch");
    Ok(())
}
