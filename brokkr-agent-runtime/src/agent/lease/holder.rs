//! The holder of a Lease, and whether its process still runs.

use std::io;
use std::path::Path;

use brokkr_core::model::InstanceId;

/// The error number of a process that does not exist.
const ESRCH: i32 = 3;

/// A process that may hold the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    /// Host name and a random number, which differs for each start.
    pub(super) identity: String,
    /// Identity of the process on its host; absent if the system does not provide it.
    pub(super) process: Option<String>,
}

impl Holder {
    /// Returns a holder for one agent in this process.
    pub(super) fn current() -> Self {
        let host = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "agent".to_owned());
        Self { identity: format!("{host}_{}", InstanceId::generate()), process: Process::current() }
    }
}

/// Identity of a process among all that ever ran. Includes start time and PID namespace, because PIDs are reused.
struct Process<'a> {
    boot: &'a str,
    namespace: &'a str,
    pid: &'a str,
    started: &'a str,
}

impl Process<'_> {
    fn current() -> Option<String> {
        let (boot, namespace) = boot_and_pid_namespace()?;
        let pid = std::process::id().to_string();
        let started = started(&pid).ok()??;
        Some(Process { boot: &boot, namespace: &namespace, pid: &pid, started: &started }.text())
    }

    fn text(&self) -> String {
        [self.boot, self.namespace, self.pid, self.started].join("/")
    }
}

/// Whether a recorded process has certainly ended. True only for a process of this boot and PID namespace whose PID no
/// process has, or another one: all other processes are out of sight.
pub(super) fn has_ended(process: &str) -> bool {
    let mut parts = process.split('/');
    let (Some(boot), Some(namespace), Some(pid), Some(start)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let here = boot_and_pid_namespace().is_some_and(|here| here == (boot.to_owned(), namespace.to_owned()));
    // Guards the path in `/proc`: only digits name a process.
    let is_pid = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    here && is_pid && started(pid).is_ok_and(|started| started.as_deref() != Some(start))
}

/// Returns the boot ID of this host and the PID namespace.
fn boot_and_pid_namespace() -> Option<(String, String)> {
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some((read("/proc/sys/kernel/random/boot_id")?, namespace.to_str()?.replace('/', "_")))
}

/// Returns when a process started, in ticks since boot; `None` if it does not exist or is a zombie.
///
/// # Errors
///
/// Fails if `/proc` does not tell, for example without a free file descriptor.
fn started(pid: &str) -> io::Result<Option<String>> {
    let stat = match std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")) {
        Ok(stat) => stat,
        // ESRCH: the process ended while its file was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    // The name in parentheses may contain any character, so the fields are counted from its end (proc(5)).
    let mut fields = stat.rsplit_once(')').map(|it| it.1.split_whitespace()).into_iter().flatten();
    let (Some(state), Some(started)) = (fields.next(), fields.nth(18)) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    Ok((!matches!(state, "Z" | "X")).then(|| started.to_owned()))
}

fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_process_is_not_reported_as_ended() {
        let Some(this) = Process::current() else { return };
        assert!(!has_ended(&this), "{this}");
        assert!(!has_ended("") && !has_ended("a/b/1/2") && !has_ended("///"));
        let (boot, namespace) = boot_and_pid_namespace().expect("/proc is readable");
        assert!(!has_ended(&format!("{boot}/{namespace}//1")), "no PID");
        let mut parts: Vec<&str> = this.split('/').collect();
        parts[3] = "1";
        assert!(has_ended(&parts.join("/")), "another process reuses its PID");
    }

    #[test]
    fn ended_process_is_recognized() {
        let Some((boot, namespace)) = boot_and_pid_namespace() else { return };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
        let pid = child.id().to_string();
        let start = started(&pid).expect("/proc tells").expect("it runs");
        let text = Process { boot: &boot, namespace: &namespace, pid: &pid, started: &start }.text();
        assert!(!has_ended(&text));
        child.kill().expect("the child can be killed");
        while !has_ended(&text) {
            std::thread::yield_now();
        }
        child.wait().expect("the child has ended");
        assert!(has_ended(&text));
    }
}
