//! A database that syncs to disk, and brokers on it.

use std::path::Path;
use std::sync::Arc;

use brokkr_control::Broker;
use brokkr_store_postgres::{PostgresConfig, PostgresStore, migrate};
use brokkr_testbed::{BrokerProcess, Postgres, ScratchFolder, free_port, program};
use http::Method;
use serde_json::Value;

use crate::Result;

pub(crate) struct Database {
    pub(crate) server: Postgres,
    pub(crate) folder: ScratchFolder,
}

impl Database {
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let folder = ScratchFolder::new(&format!("faults-{name}")).map_err(text)?;
        let place = folder.path().join("postgres");
        Self::start_at(folder, &place, &["max_connections=200"]).await
    }

    pub(crate) async fn start_at(folder: ScratchFolder, place: &Path, settings: &[&str]) -> Result<Self> {
        let server = Postgres::start_with(place, settings).map_err(text)?;
        server.create_brokkr("brokkr").map_err(text)?;
        migrate(server.url_of("brokkr_owner", "brokkr"), Some("brokkr_broker")).await?;
        Ok(Self { server, folder })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url_of("brokkr_broker", "brokkr")
    }

    pub(crate) async fn store(&self, connections: u32) -> Result<Arc<PostgresStore>> {
        let config = PostgresConfig::new(self.url()).max_connections(connections);
        Ok(Arc::new(PostgresStore::connect(config).await?))
    }

    /// Starts a broker in this process.
    pub(crate) async fn broker(&self) -> Result<Broker> {
        Ok(Broker::builder(self.store(20).await?).start().await?)
    }

    /// Runs SQL as a superuser.
    pub(crate) fn query(&self, sql: &str) -> Result<String> {
        self.server.query_in("brokkr", sql).map_err(text)
    }

    pub(crate) fn count(&self, sql: &str) -> Result<u64> {
        Ok(self.query(sql)?.parse()?)
    }
}

/// Converts an error of the testbed.
pub(crate) fn text(error: brokkr_testbed::Error) -> crate::BoxedError {
    error.to_string().into()
}

/// Starts a broker on a database, in its own process.
pub(crate) fn replica(database: &Database) -> Result<BrokerProcess> {
    replica_at(database, free_port().map_err(text)?)
}

/// Starts a broker on a given port.
pub(crate) fn replica_at(database: &Database, port: u16) -> Result<BrokerProcess> {
    let log = database.folder.path().join(format!("broker-{port}.log"));
    BrokerProcess::start(&program("brokkr-broker").map_err(text)?, port, &[], Some(&database.url()), &log).map_err(text)
}

pub(crate) async fn call(url: &str, key: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
    let client = brokkr_http::client::Client::builder([url], key).build()?;
    Ok(client.send(method, path, body).await?)
}
