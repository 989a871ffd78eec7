//! A PostgreSQL server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::packages::{find, install};
use crate::wait::wait_for;
use crate::{Error, Process, Result, free_port};

/// A PostgreSQL server with its own data folder. It ends on drop.
#[derive(Debug)]
pub struct Postgres {
    /// The address for a superuser.
    pub url: String,
    port: u16,
    binaries: PathBuf,
    folder: PathBuf,
    settings: Vec<String>,
    process: Option<Process>,
}

impl Postgres {
    /// Starts a server with its data in `folder` and waits until it accepts connections. It does not sync to disk.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, &["fsync=off"])
    }

    /// [`start`](Self::start) with these settings on top of PostgreSQL's defaults.
    pub fn start_with(folder: &Path, settings: &[&str]) -> Result<Self> {
        let binaries = binaries()?;
        std::fs::create_dir_all(folder)?;
        let port = free_port()?;
        let mut server = Self {
            url: format!("postgresql://postgres@127.0.0.1:{port}/postgres"),
            port,
            binaries,
            folder: folder.to_path_buf(),
            settings: settings.iter().map(|it| (*it).to_owned()).collect(),
            process: None,
        };
        let data = server.data().display().to_string();
        let made = server.run("initdb", &["-D", &data, "-U", "postgres", "--auth=trust", "-N"])?;
        if !made.status.success() {
            return Err(Error::new(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr))));
        }
        server.start_again()?;
        Ok(server)
    }

    /// Restarts the server on its data, at the same address.
    pub fn start_again(&mut self) -> Result<()> {
        // Wait until the previous process has ended.
        self.process = None;
        let (data, folder) = (self.data().display().to_string(), self.folder.display().to_string());
        let port = self.port.to_string();
        let mut args = vec!["-D", &data, "-p", &port, "-h", "127.0.0.1", "-k", &folder];
        for setting in &self.settings {
            args.extend(["-c", setting]);
        }
        let (program, args) = self.command("postgres", &args)?;
        self.process = Some(Process::start(&program, &args, &[], &self.folder.join("postgres.log"))?);
        wait_for("PostgreSQL", Duration::from_secs(120), || self.query("select 1").is_ok())
    }

    /// Kills the server and all of its child processes at once.
    pub fn kill(&mut self) -> Result<()> {
        let Some(process) = &self.process else { return Ok(()) };
        let parent = process.pid();
        // Stop it first, so that it starts no new processes while its children are killed.
        process.signal("STOP")?;
        for child in children(parent) {
            let _ = Command::new("kill").args(["-KILL", &child.to_string()]).status();
        }
        process.signal("KILL")?;
        self.process = None;
        Ok(())
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Runs a program of PostgreSQL as the server's user.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        let (program, args) = self.command(program, args)?;
        Ok(Command::new(program).args(args).current_dir("/").output()?)
    }

    /// The command that runs a program as the server's user.
    pub fn command(&self, program: &str, args: &[&str]) -> Result<(PathBuf, Vec<String>)> {
        let mut words = user_prefix(&self.folder)?;
        words.push(self.binaries.join(program).display().to_string());
        words.extend(args.iter().map(|it| (*it).to_owned()));
        let first = PathBuf::from(words.remove(0));
        Ok((first, words))
    }

    /// The folder with PostgreSQL's programs; `None` if they are not installed.
    pub fn programs() -> Option<PathBuf> {
        newest_version().or_else(in_path)
    }

    /// The port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates the roles `brokkr_owner` and `brokkr_broker`, and a database of `brokkr_owner`.
    pub fn create_brokkr(&self, database: &str) -> Result<()> {
        self.query("CREATE ROLE brokkr_owner LOGIN NOSUPERUSER")?;
        self.query("CREATE ROLE brokkr_broker LOGIN NOSUPERUSER")?;
        self.query(&format!("CREATE DATABASE {database} OWNER brokkr_owner"))?;
        Ok(())
    }

    /// The address of a database for a role. Roles have no passwords here.
    pub fn url_of(&self, role: &str, database: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs one statement as a superuser. Returns the output of psql, unaligned and without headers.
    pub fn query(&self, sql: &str) -> Result<String> {
        self.query_in("postgres", sql)
    }

    /// [`query`](Self::query) in another database.
    pub fn query_in(&self, database: &str, sql: &str) -> Result<String> {
        self.query_as("postgres", database, sql)
    }

    /// [`query`](Self::query) in another database and with another role.
    pub fn query_as(&self, role: &str, database: &str, sql: &str) -> Result<String> {
        let output =
            Command::new(self.binaries.join("psql")).args([&self.url_of(role, database), "-XAtc", sql]).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(Error::new(String::from_utf8_lossy(&output.stderr)))
    }

    /// Freezes all of its processes with SIGSTOP. Connections stay open without answers.
    pub fn freeze(&self) -> Result<()> {
        self.signal_all("STOP")
    }

    /// Resumes the server after [`freeze`](Self::freeze).
    pub fn thaw(&self) -> Result<()> {
        self.signal_all("CONT")
    }

    fn signal_all(&self, name: &str) -> Result<()> {
        let Some(main) = &self.process else { return Ok(()) };
        // The main process first, because it starts the others. A child may have ended in the meantime.
        main.signal(name)?;
        for child in children(main.pid()) {
            let _ = Command::new("kill").args([&format!("-{name}"), &child.to_string()]).stderr(Stdio::null()).status();
        }
        Ok(())
    }

    /// The main process; `None` after [`kill`](Self::kill).
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }
}

/// The ids of a process's children.
fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The fields after the name in parentheses are the state and the parent.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.get(1).and_then(|it| it.parse().ok()) == Some(parent)
    };
    pids.filter(is_child).collect()
}

/// Finds the folder with the server's programs, or installs the package.
fn binaries() -> Result<PathBuf> {
    if let Some(found) = Postgres::programs() {
        return Ok(found);
    }
    install("postgresql")?;
    newest_version().ok_or_else(|| Error::new("cannot find PostgreSQL after its installation"))
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

/// The user for PostgreSQL, which refuses to run as root: the user of its package.
pub(crate) fn user_prefix(folder: &Path) -> Result<Vec<String>> {
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
