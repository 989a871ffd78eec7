//! A database, and brokers on it as processes.

use std::path::{Path, PathBuf};

use brokkr_http::client::Client;
use brokkr_store_postgres::{PostgresConfig, PostgresStore, migrate};
use brokkr_testbed::{BrokerProcess, Postgres, ScratchFolder, free_port};
use serde_json::Value;

use crate::Result;

/// A migrated database that syncs to disk as in production.
pub(crate) struct Database {
    pub(crate) server: Postgres,
    pub(crate) folder: ScratchFolder,
}

impl Database {
    pub(crate) async fn start() -> Result<Self> {
        let folder = ScratchFolder::new("bench").map_err(text)?;
        let settings = ["max_connections=200", "shared_buffers=256MB", "max_wal_size=4GB"];
        let server = Postgres::start_with(&folder.path().join("postgres"), &settings).map_err(text)?;
        server.create_brokkr("brokkr").map_err(text)?;
        migrate(server.url_of("brokkr_owner", "brokkr"), Some("brokkr_broker")).await?;
        Ok(Self { server, folder })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url_of("brokkr_broker", "brokkr")
    }

    pub(crate) async fn store(&self, connections: u32) -> Result<PostgresStore> {
        let config = PostgresConfig::new(self.url()).max_connections(connections);
        Ok(PostgresStore::connect(config).await?)
    }

    /// Runs SQL as a superuser.
    pub(crate) fn query(&self, sql: &str) -> Result<String> {
        self.server.query_in("brokkr", sql).map_err(text)
    }

    pub(crate) fn broker(&self, connections: u32) -> Result<Broker> {
        Broker::start(self.folder.path(), &self.url(), connections)
    }
}

/// Converts an error of the testbed.
pub(crate) fn text(error: brokkr_testbed::Error) -> Box<dyn std::error::Error + Send + Sync> {
    error.to_string().into()
}

/// The path of a program in the same folder as this one.
pub(crate) fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().map(|folder| folder.join(name)).unwrap_or_default();
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is missing; build it with cargo xtask bench", path.display()).into())
    }
}

/// A broker in its own process.
pub(crate) struct Broker {
    /// Host and port of the listen address.
    pub(crate) address: String,
    pub(crate) process: BrokerProcess,
}

impl Broker {
    pub(crate) fn start(folder: &Path, database: &str, connections: u32) -> Result<Self> {
        let port = free_port().map_err(text)?;
        let log = folder.join(format!("broker-{port}.log"));
        let arguments = ["--database-connections", &connections.to_string()];
        let program = binary("brokkr-broker")?;
        let process = BrokerProcess::start(&program, port, &arguments, Some(database), &log).map_err(text)?;
        Ok(Self { address: format!("127.0.0.1:{port}"), process })
    }

    pub(crate) fn admin(&self) -> Result<&str> {
        Ok(self.process.admin.as_deref().ok_or("the broker printed no admin key")?)
    }

    /// Sends one request with a JSON body.
    pub(crate) async fn call(
        &self,
        key: &str,
        method: http::Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let client = Client::builder([&self.process.url], key).build()?;
        Ok(client.send(method, path, body).await?)
    }
}

/// The peak resident memory of a process, in MiB.
pub(crate) fn peak_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("/proc has no VmHWM for the process")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib / 1024.0)
}
