//! An agent in its own process.

use std::path::{Path, PathBuf};

use crate::{Error, Process, Result, program};

/// An agent in its own process, which ends on drop.
#[derive(Debug)]
pub struct AgentProcess {
    /// The agent's id.
    pub id: String,
    pak: String,
    environment: Vec<(String, String)>,
    log: PathBuf,
    starts: u32,
    process: Option<Process>,
}

impl AgentProcess {
    /// An agent that exists in a broker. Does not start it. Each start writes its output to a new file beside `log`.
    pub fn new(id: &str, pak: &str, broker_url: &str, kubeconfig: &Path, log: &Path) -> Self {
        let environment = [
            ("BROKKR__AGENT__BROKER_URL", broker_url.to_owned()),
            ("BROKKR__AGENT__PAK", pak.to_owned()),
            ("BROKKR__AGENT__INTERVAL_SECONDS", "2".to_owned()),
            // Any free port, because several agents run on one machine.
            ("BROKKR__AGENT__LISTEN", "127.0.0.1:0".to_owned()),
            ("BROKKR__AGENT__METRICS_LISTEN", "127.0.0.1:0".to_owned()),
            ("KUBECONFIG", kubeconfig.display().to_string()),
        ];
        let environment = environment.map(|(key, value)| (key.to_owned(), value)).into();
        Self { id: id.to_owned(), pak: pak.to_owned(), environment, log: log.to_owned(), starts: 0, process: None }
    }

    /// Sets an environment variable for the next start.
    #[must_use]
    pub fn env(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.set_env(variable, value);
        self
    }

    /// Sets an environment variable for the next start.
    pub fn set_env(&mut self, variable: &str, value: impl Into<String>) {
        self.environment.retain(|(key, _)| key != variable);
        self.environment.push((variable.to_owned(), value.into()));
    }

    /// The process id; `None` if it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// The agent's key.
    pub fn pak(&self) -> &str {
        &self.pak
    }

    /// The name of its field manager.
    pub fn manager(&self) -> String {
        format!("brokkr-{}", self.id)
    }

    /// Starts the agent. Kills a running process first.
    pub fn start(&mut self) -> Result<()> {
        self.kill();
        self.starts += 1;
        let log = self.log_path();
        self.process = Some(Process::start(&program("brokkr-agent")?, &["start".to_owned()], &self.environment, &log)?);
        Ok(())
    }

    /// Kills the process with SIGKILL and waits until it has ended.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Sends a signal, such as `STOP`. Fails if the agent does not run.
    pub fn signal(&self, name: &str) -> Result<()> {
        let process = self.process.as_ref().ok_or_else(|| Error::new("the agent does not run"))?;
        process.signal(name)
    }

    /// The file with the output since the last start.
    pub fn log_path(&self) -> PathBuf {
        self.log.with_extension(format!("{}.log", self.starts))
    }
}
