//! `brokkr-broker keys …`: admin keys, with access to the database.

use std::error::Error;
use std::path::PathBuf;

use brokkr_control::Broker;
use brokkr_store_postgres::{PostgresConfig, PostgresStore};
use clap::Subcommand;
use secrecy::SecretString;

use crate::key_sink::KeySink;

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Creates an admin key after every other one was lost, and shows it on the terminal or writes it to a file. Running brokers
    /// accept it within a second. The audit records it.
    Recover {
        /// Database URL for the role that owns the tables.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
        /// New file for the key, with mode 0600. Default: the terminal.
        #[arg(long)]
        file: Option<PathBuf>,
    },
}

async fn recover(database_url: String) -> Result<SecretString, Box<dyn Error>> {
    let config = PostgresConfig::new(database_url).allow_privileged_role(true);
    let broker = Broker::builder(PostgresStore::connect(config).await?).start().await?;
    let made = broker.recover_admin_key().await;
    broker.shutdown().await;
    Ok(made?.pak.ok_or("the broker returned no key")?)
}

pub(crate) async fn run(command: KeysCommand) -> Result<(), Box<dyn Error>> {
    let KeysCommand::Recover { database_url, file } = command;
    let sink = KeySink::open(file.as_deref()).map_err(|error| format!("{error}: --file FILE"))?;
    match recover(database_url).await {
        Ok(key) => sink.write(&key)?,
        Err(error) => {
            sink.discard();
            return Err(error);
        }
    }
    println!("revoke the lost admin keys with it: DELETE /api/v1/keys/<id>");
    Ok(())
}
