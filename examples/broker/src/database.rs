//! What `brokkr-broker` does with a database.

use std::error::Error;
use std::sync::Arc;

use brokkr_core::store::{MemoryStore, Store};
use brokkr_store_postgres::{PostgresConfig, PostgresStore, roles_sql};
use clap::{Args, Subcommand};

use crate::settings::BrokerSettings;

/// Where the database is, and what is accepted of it.
#[derive(Args)]
pub(crate) struct DatabaseArgs {
    /// The database, as the broker's role; without it everything is kept in memory.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    #[arg(long, help = format!("Size of the connection pool [default: {}]", PostgresConfig::MAX_CONNECTIONS))]
    database_connections: Option<u32>,
    /// A proxy that pools transactions stands in between: no prepared statements, no LISTEN.
    #[arg(long)]
    database_pooled: bool,
    /// Accepts a role that could change history: a superuser, or the tables' owner. For development.
    #[arg(long)]
    allow_privileged_database_role: bool,
    /// Brings the schema up to date first, as the same role. For development; otherwise: brokkr-broker migrate.
    #[arg(long)]
    migrate: bool,
}

#[derive(Args)]
pub(crate) struct MigrateArgs {
    /// The database, as the role that owns the tables.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The role that brokers connect as; it gets its rights.
    #[arg(long, default_value = "brokkr_broker")]
    broker_role: String,
    /// Prints the SQL that makes both roles, and does nothing else.
    #[arg(long)]
    roles: bool,
    /// With --roles: the role that owns the tables.
    #[arg(long, default_value = "brokkr_owner")]
    owner_role: String,
}

#[derive(Subcommand)]
pub(crate) enum EpochCommand {
    /// Begins a new history, after the data was set back in a way that cannot be noticed from within (a snapshot of the
    /// disk): agents then remove nothing until an admin has confirmed it.
    New {
        /// The database, as the broker's role.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
        /// Accepts a role that could change history.
        #[arg(long)]
        allow_privileged_database_role: bool,
        /// Why, for the record.
        #[arg(long, default_value = "by command")]
        reason: String,
    },
}

/// The store that the arguments name.
pub(crate) async fn store(args: &DatabaseArgs, settings: &BrokerSettings) -> Result<Arc<dyn Store>, Box<dyn Error>> {
    let Some(url) = &args.database_url else {
        println!(
            "NOTE: everything is kept in memory and is gone when this process ends; DATABASE_URL names a database."
        );
        println!("      Agents notice (another epoch) and remove nothing until an admin confirms.");
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
        .ok_or("DATABASE_URL (or --database-url) names the database, as the role that owns the tables")?;
    brokkr_store_postgres::migrate(url, Some(&args.broker_role)).await.map_err(|error| {
        format!(
            "{error}\nThe role {} must exist: brokkr-broker migrate --roles prints the SQL that makes it.",
            args.broker_role
        )
    })?;
    println!("the schema is up to date; {} has its rights", args.broker_role);
    println!("next: brokkr-broker serve, with DATABASE_URL for {}", args.broker_role);
    Ok(())
}

pub(crate) async fn epoch(command: EpochCommand) -> Result<(), Box<dyn Error>> {
    let EpochCommand::New { database_url, allow_privileged_database_role, reason } = command;
    let config = PostgresConfig::new(database_url).allow_privileged_role(allow_privileged_database_role);
    let epoch = PostgresStore::connect(config).await?.begin_history(&reason).await?;
    println!("a new history begins: {epoch}");
    println!("agents apply, and remove nothing until each is confirmed: POST /api/v1/agents/<id>/confirm-epoch");
    Ok(())
}
