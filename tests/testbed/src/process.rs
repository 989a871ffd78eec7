//! Child processes that end with this one.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{Error, Result};

/// Starts a program in the background, prints its process id, and kills it when standard input closes. That happens when this
/// process ends, even by SIGKILL.
///
/// The keeper ignores the signals of a terminal or a process group, so that it survives to kill the program. The program has its own
/// session, which such signals do not reach, and ends with its keeper even if the keeper is killed.
const KEEPER: &str = r#"exec 3<&0; log=$1; shift; setsid setpriv --pdeathsig KILL -- "$@" </dev/null >"$log" 2>&1 3<&- & pid=$!; trap "" INT TERM HUP QUIT PIPE; echo $pid; read -r _ <&3; kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null"#;

/// A running program. It ends on drop, and when this process ends for any reason.
#[derive(Debug)]
pub struct Process {
    keeper: Child,
    pid: u32,
}

impl Process {
    /// Starts a program and writes its output to `log`.
    pub fn start(program: &Path, args: &[String], environment: &[(String, String)], log: &Path) -> Result<Self> {
        File::create(log)?;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(log)
            .arg(program)
            .args(args)
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = keeper.stdout.take().ok_or_else(|| Error::new("no output of the keeper"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let pid = line.trim().parse().map_err(|_| Error::new(format!("{} did not start", program.display())))?;
        Ok(Self { keeper, pid })
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the program still runs.
    pub fn is_running(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.pid))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
    }

    /// Sends a signal, such as `KILL`, `STOP` or `TERM`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid.to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(Error::new(format!("cannot send {name} to {}", self.pid))) }
    }

    /// Kills the program and waits until it has ended.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.keeper.stdin.take());
        // The keeper waits for the program after killing it, so its ports and files are free afterwards.
        let _ = self.keeper.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use std::time::Duration;

    use super::*;
    use crate::{ScratchFolder, wait_for};

    /// A program that ignores SIGTERM, as an API server without etcd does.
    fn stubborn(folder: &ScratchFolder) -> Process {
        let args = ["-c", r#"trap "" TERM INT HUP; echo ready; while :; do sleep 0.1; done"#].map(str::to_owned);
        let log = folder.path().join("log");
        let process = Process::start(Path::new("/bin/sh"), &args, &[], &log).unwrap();
        wait_for("the program", Duration::from_secs(10), || std::fs::read(&log).is_ok_and(|said| !said.is_empty()))
            .unwrap();
        process
    }

    fn is_there(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn terminal_signals_leave_keeper_and_program_together() {
        let folder = ScratchFolder::new("process").unwrap();
        let process = stubborn(&folder);
        let (pid, keeper) = (process.pid(), process.keeper.id());
        for signal in ["TERM", "INT", "HUP", "QUIT"] {
            assert!(
                Command::new("kill").args([&format!("-{signal}"), &keeper.to_string()]).status().unwrap().success()
            );
        }
        assert!(process.is_running() && is_there(keeper));
        process.kill();
        assert!(!is_there(pid), "its program ends with the process that started it");
    }

    #[test]
    fn killed_keeper_ends_its_program() {
        let folder = ScratchFolder::new("process").unwrap();
        let process = stubborn(&folder);
        assert!(Command::new("kill").args(["-9", &process.keeper.id().to_string()]).status().unwrap().success());
        wait_for("the program's end", Duration::from_secs(10), || !process.is_running()).unwrap();
    }
}
