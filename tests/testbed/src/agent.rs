//! An agent as a process.

use std::path::{Path, PathBuf};

use crate::{Process, Result, program};

/// An agent in a process of its own, which ends when this is dropped.
#[derive(Debug)]
pub struct AgentProcess {
    /// Its id.
    pub id: String,
    pak: String,
    environment: Vec<(String, String)>,
    log: PathBuf,
    starts: u32,
    process: Option<Process>,
}

impl AgentProcess {
    /// An agent that is known to a broker, not started yet. What it says goes to a file for each start, beside `log`.
    pub fn new(id: &str, pak: &str, broker_url: &str, kubeconfig: &Path, log: &Path) -> Self {
        let environment = [
            ("BROKKR__AGENT__BROKER_URL", broker_url.to_owned()),
            ("BROKKR__AGENT__PAK", pak.to_owned()),
            ("BROKKR__AGENT__INTERVAL_SECONDS", "2".to_owned()),
            // Any port: several run on one machine.
            ("BROKKR__AGENT__LISTEN", "127.0.0.1:0".to_owned()),
            ("KUBECONFIG", kubeconfig.display().to_string()),
        ];
        let environment = environment.map(|(key, value)| (key.to_owned(), value)).into();
        Self { id: id.to_owned(), pak: pak.to_owned(), environment, log: log.to_owned(), starts: 0, process: None }
    }

    /// Adds a variable to its environment, or changes one.
    #[must_use]
    pub fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.environment.retain(|(key, _)| key != variable);
        self.environment.push((variable.to_owned(), value.into()));
        self
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Its key.
    pub fn pak(&self) -> &str {
        &self.pak
    }

    /// What its field manager is called.
    pub fn manager(&self) -> String {
        format!("brokkr-{}", self.id)
    }

    /// Starts it; one that runs still is killed before.
    pub fn start(&mut self) -> Result<()> {
        self.kill();
        self.starts += 1;
        let log = self.said_in();
        self.process = Some(Process::start(&program("brokkr-agent")?, &["start".to_owned()], &self.environment, &log)?);
        Ok(())
    }

    /// Kills it, as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Sends a signal to it by its name.
    pub fn signal(&self, name: &str) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), |process| process.signal(name))
    }

    /// The file with what it said since it was started last.
    pub fn said_in(&self) -> PathBuf {
        self.log.with_extension(format!("{}.log", self.starts))
    }
}
