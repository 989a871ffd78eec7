//! A database and brokers on it, as processes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use brokkr_store_postgres::{PostgresConfig, PostgresStore, migrate};
use brokkr_testbed::{Postgres, Process, ScratchFolder, free_port};
use serde_json::Value;

use crate::Result;

/// A migrated database that waits for the disk as it does in production.
pub(crate) struct Database {
    pub(crate) server: Postgres,
    pub(crate) folder: ScratchFolder,
}

impl Database {
    pub(crate) async fn start() -> Result<Self> {
        let folder = ScratchFolder::new("bench").map_err(text)?;
        let settings = ["max_connections=200", "shared_buffers=256MB", "max_wal_size=4GB"];
        let server = Postgres::start_with(&folder.path().join("postgres"), &settings).map_err(text)?;
        for statement in [
            "CREATE ROLE brokkr_owner LOGIN NOSUPERUSER",
            "CREATE ROLE brokkr_broker LOGIN NOSUPERUSER",
            "CREATE DATABASE brokkr OWNER brokkr_owner",
        ] {
            server.query(statement).map_err(text)?;
        }
        migrate(&server.url_of("brokkr_owner", "brokkr").into(), Some("brokkr_broker")).await?;
        Ok(Self { server, folder })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url_of("brokkr_broker", "brokkr")
    }

    pub(crate) async fn store(&self, connections: u32) -> Result<PostgresStore> {
        let mut config = PostgresConfig::new(self.url().into());
        config.max_connections = connections;
        Ok(PostgresStore::connect(config).await?)
    }

    /// As a superuser.
    pub(crate) fn query(&self, sql: &str) -> Result<String> {
        self.server.query_in("brokkr", sql).map_err(text)
    }

    pub(crate) fn broker(&self, connections: u32) -> Result<Broker> {
        Broker::start(self.folder.path(), Some(&self.url()), connections)
    }
}

/// Errors of the testbed are texts.
pub(crate) fn text(error: brokkr_testbed::Error) -> Box<dyn std::error::Error + Send + Sync> {
    error.to_string().into()
}

/// A program that was built beside this one.
pub(crate) fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().map(|folder| folder.join(name)).unwrap_or_default();
    if path.is_file() { Ok(path) } else { Err(format!("{} is missing; run cargo xtask bench", path.display()).into()) }
}

/// A broker in a process of its own.
pub(crate) struct Broker {
    pub(crate) url: String,
    /// Absent when it was shown by an earlier one on the same data.
    pub(crate) admin: Option<String>,
    pub(crate) started: Instant,
    _process: Process,
}

impl Broker {
    pub(crate) fn start(folder: &Path, database: Option<&str>, connections: u32) -> Result<Self> {
        let port = free_port().map_err(text)?;
        let log = folder.join(format!("broker-{port}.log"));
        let mut args = vec!["serve".to_owned(), "--listen".to_owned(), format!("127.0.0.1:{port}")];
        args.extend(["--database-connections".to_owned(), connections.to_string()]);
        let variables: Vec<_> = database.map(|url| ("DATABASE_URL".to_owned(), url.to_owned())).into_iter().collect();
        let started = Instant::now();
        let process = Process::start(&binary("brokkr-broker")?, &args, &variables, &log).map_err(text)?;
        loop {
            let said = std::fs::read_to_string(&log)?;
            if said.contains("listening on") {
                let admin = said.lines().find_map(|line| line.strip_prefix("admin key (shown this once): "));
                let admin = admin.map(str::to_owned);
                return Ok(Self { url: format!("127.0.0.1:{port}"), admin, started, _process: process });
            }
            if started.elapsed() > Duration::from_secs(120) || !process.is_running() {
                return Err(format!("the broker did not start: {said}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn admin(&self) -> Result<&str> {
        Ok(self.admin.as_deref().ok_or("the broker showed no admin key")?)
    }

    /// One request with JSON.
    pub(crate) async fn call(
        &self,
        key: &str,
        method: http::Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let client =
            brokkr_http::client::Client::builder([format!("http://{}", self.url)], key.to_owned().into()).build()?;
        Ok(client.send(method, path, body).await?)
    }
}
