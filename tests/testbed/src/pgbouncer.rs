//! PgBouncer, a connection pooler in transaction mode.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::postgres::user_prefix;
use crate::wait::wait_for;
use crate::{Error, Process, Result, ensure_command, free_port};

/// A PgBouncer process in front of a server. It pools transactions over a few connections, and ends on drop.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    _process: Process,
}

impl PgBouncer {
    /// Starts PgBouncer in front of the server on `port`, for the broker's role, with its files in `folder`. Waits until it answers.
    pub fn start(folder: &Path, server: u16) -> Result<Self> {
        let program = program()?;
        std::fs::create_dir_all(folder)?;
        let port = free_port()?;
        let (users, settings) = (folder.join("users.txt"), folder.join("pgbouncer.ini"));
        std::fs::write(&users, "\"brokkr_broker\" \"\"\n\"postgres\" \"\"\n")?;
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 3\n\
             max_client_conn = 500\n",
            users.display()
        );
        std::fs::write(&settings, text)?;
        // PgBouncer refuses to run as root, as PostgreSQL does.
        let mut words = user_prefix(folder)?;
        words.extend([program.display().to_string(), settings.display().to_string()]);
        let first = PathBuf::from(words.remove(0));
        let process = Process::start(&first, &words, &[], &folder.join("pgbouncer.log"))?;
        let psql = ensure_command("psql", "postgresql-client")?;
        let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres");
        wait_for("PgBouncer", Duration::from_secs(20), || {
            Command::new(&psql).args([&url, "-XAtc", "select 1"]).output().is_ok_and(|it| it.status.success())
        })?;
        Ok(Self { port, _process: process })
    }

    /// The address of a database through the proxy, for the broker's role.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgresql://brokkr_broker@127.0.0.1:{}/{database}", self.port)
    }
}

/// Finds the program, or installs it. Debian installs it into a folder outside of a user's `PATH`.
fn program() -> Result<PathBuf> {
    let usual = PathBuf::from("/usr/sbin/pgbouncer");
    if usual.is_file() {
        return Ok(usual);
    }
    match ensure_command("pgbouncer", "pgbouncer") {
        Ok(found) => Ok(found),
        Err(_) if usual.is_file() => Ok(usual),
        Err(error) => Err(Error::new(error.to_string())),
    }
}
