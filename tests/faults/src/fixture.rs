//! A database that waits for the disk, and brokers on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_core::broker::Broker;
use brokkr_store_postgres::{PostgresConfig, PostgresStore, migrate};
use brokkr_testbed::{Postgres, Process, ScratchFolder, free_port};
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

    pub(crate) async fn store(&self, connections: u32) -> Result<Arc<PostgresStore>> {
        let mut config = PostgresConfig::new(self.url().into());
        config.max_connections = connections;
        Ok(Arc::new(PostgresStore::connect(config).await?))
    }

    /// A broker in this process.
    pub(crate) async fn broker(&self) -> Result<Broker> {
        Ok(Broker::builder(self.store(20).await?).start().await?)
    }

    /// As a superuser.
    pub(crate) fn query(&self, sql: &str) -> Result<String> {
        self.server.query_in("brokkr", sql).map_err(text)
    }

    pub(crate) fn count(&self, sql: &str) -> Result<u64> {
        Ok(self.query(sql)?.parse()?)
    }
}

/// Errors of the testbed are texts.
pub(crate) fn text(error: brokkr_testbed::Error) -> crate::BoxedError {
    error.to_string().into()
}

/// A broker in a process of its own.
pub(crate) struct Replica {
    pub(crate) url: String,
    pub(crate) admin: Option<String>,
    pub(crate) process: Process,
}

impl Replica {
    pub(crate) fn start(database: &Database) -> Result<Self> {
        let port = free_port().map_err(text)?;
        Self::start_at(database, &format!("http://127.0.0.1:{port}"))
    }

    /// At the address of one that was there before.
    pub(crate) fn start_at(database: &Database, url: &str) -> Result<Self> {
        let port = url.rsplit(':').next().unwrap_or_default().to_owned();
        let log = database.folder.path().join(format!("broker-{port}.log"));
        let args = ["serve".to_owned(), "--listen".to_owned(), format!("127.0.0.1:{port}")];
        let variables = [("DATABASE_URL".to_owned(), database.url())];
        let process = Process::start(&binary("brokkr-broker")?, &args, &variables, &log).map_err(text)?;
        let began = Instant::now();
        loop {
            let said = std::fs::read_to_string(&log)?;
            if said.contains("listening on") {
                let admin = said.lines().find_map(|line| line.strip_prefix("admin key (shown this once): "));
                let admin = admin.map(str::to_owned);
                return Ok(Self { url: format!("http://127.0.0.1:{port}"), admin, process });
            }
            if began.elapsed() > Duration::from_secs(30) || !process.is_running() {
                return Err(format!("the broker did not start: {said}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) async fn call(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        call(&self.url, key, method, path, body).await
    }
}

pub(crate) async fn call(url: &str, key: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
    let client = brokkr_http::client::Client::builder([url.to_owned()], key.to_owned().into()).build()?;
    Ok(client.send(method, path, body).await?)
}

fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().map(|folder| folder.join(name)).unwrap_or_default();
    if path.is_file() { Ok(path) } else { Err(format!("{} is missing; run cargo xtask faults", path.display()).into()) }
}
