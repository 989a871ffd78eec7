//! A real PostgreSQL server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::clusters::wait_for;
use crate::packages::{find, install};
use crate::{Error, Process, Result, free_port};

/// A PostgreSQL server of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    /// Its address, for a superuser.
    pub url: String,
    port: u16,
    psql: PathBuf,
    process: Process,
}

impl Postgres {
    /// Starts a server with its data in a folder and waits until it takes connections.
    pub fn start(folder: &Path) -> Result<Self> {
        let binaries = binaries()?;
        std::fs::create_dir_all(folder)?;
        let data = folder.join("data");
        let as_user = user_prefix(folder)?;
        let run = |program: &str, args: &[String]| -> (PathBuf, Vec<String>) {
            let mut words = as_user.clone();
            words.push(binaries.join(program).display().to_string());
            words.extend_from_slice(args);
            let first = PathBuf::from(words.remove(0));
            (first, words)
        };
        let data_arg = data.display().to_string();
        let (program, args) = run(
            "initdb",
            &["-D".into(), data_arg.clone(), "-U".into(), "postgres".into(), "--auth=trust".into(), "-N".into()],
        );
        let output = Command::new(program).args(args).current_dir("/").output()?;
        if !output.status.success() {
            return Err(Error::new(format!("initdb failed: {}", String::from_utf8_lossy(&output.stderr))));
        }
        let port = free_port()?;
        let settings = [
            "-D".to_owned(),
            data_arg,
            "-p".to_owned(),
            port.to_string(),
            "-h".to_owned(),
            "127.0.0.1".to_owned(),
            "-k".to_owned(),
            folder.display().to_string(),
            "-c".to_owned(),
            "fsync=off".to_owned(),
        ];
        let (program, args) = run("postgres", &settings);
        let process = Process::start(&program, &args, &[], &folder.join("postgres.log"))?;
        let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres");
        let server = Self { url, port, psql: binaries.join("psql"), process };
        wait_for("PostgreSQL", Duration::from_secs(30), || server.query("select 1").is_ok())?;
        Ok(server)
    }

    /// The address of a database for a role; nobody has a password here.
    pub fn url_of(&self, role: &str, database: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs one statement and returns what it prints, unaligned and without headers.
    pub fn query(&self, sql: &str) -> Result<String> {
        self.query_in("postgres", sql)
    }

    /// The same in another database.
    pub fn query_in(&self, database: &str, sql: &str) -> Result<String> {
        self.query_as("postgres", database, sql)
    }

    /// The same as another role.
    pub fn query_as(&self, role: &str, database: &str, sql: &str) -> Result<String> {
        let output = Command::new(&self.psql).args([&self.url_of(role, database), "-XAtc", sql]).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(Error::new(String::from_utf8_lossy(&output.stderr)))
    }

    /// The process that was started.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// The folder with the server's programs; installed if it is missing.
fn binaries() -> Result<PathBuf> {
    if let Some(found) = newest_version().or_else(in_path) {
        return Ok(found);
    }
    install("postgresql")?;
    newest_version().ok_or_else(|| Error::new("PostgreSQL is missing after installing it"))
}

fn in_path() -> Option<PathBuf> {
    find("initdb").and_then(|_| find("postgres"))?.parent().map(Path::to_path_buf)
}

fn newest_version() -> Option<PathBuf> {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let mut complete: Vec<PathBuf> = versions.filter(|folder| folder.join("postgres").is_file()).collect();
    complete.sort();
    complete.pop()
}

/// PostgreSQL refuses to run as root: then it runs as the user that its package made.
fn user_prefix(folder: &Path) -> Result<Vec<String>> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
    if !is_root {
        return Ok(Vec::new());
    }
    let owned = Command::new("chown").arg("postgres").arg(folder).status()?;
    if !owned.success() {
        return Err(Error::new("the user postgres is missing: install PostgreSQL from the distribution's package"));
    }
    let words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"];
    Ok(words.map(str::to_owned).to_vec())
}
