//! The holder of a Lease, and whether its process still runs.

use std::path::Path;

use brokkr_core::model::InstanceId;

/// A process that may hold the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    /// Host name and a random number, which differs for each start.
    pub(super) name: String,
    /// Identity of the process on its host; absent if the system does not provide it.
    pub(super) process: Option<String>,
}

impl Holder {
    /// Returns a holder for one agent in this process.
    pub(super) fn this() -> Self {
        let host = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "agent".to_owned());
        Self { name: format!("{host}_{}", InstanceId::generate()), process: Process::this() }
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
    fn this() -> Option<String> {
        let (boot, namespace) = place()?;
        let pid = std::process::id().to_string();
        let started = started(&pid)?;
        Some(Process { boot: &boot, namespace: &namespace, pid: &pid, started: &started }.text())
    }

    fn text(&self) -> String {
        [self.boot, self.namespace, self.pid, self.started].join("/")
    }
}

/// Whether a recorded process has certainly ended: it ran on this host, in this PID namespace, since this boot. Returns
/// false for processes on other hosts.
pub(super) fn has_ended(process: &str) -> bool {
    let mut parts = process.split('/');
    let (Some(boot), Some(namespace), Some(pid), Some(start)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let here = place().is_some_and(|here| here == (boot.to_owned(), namespace.to_owned()));
    // Guards the path in `/proc`: only digits name a process.
    here && pid.bytes().all(|byte| byte.is_ascii_digit()) && started(pid).as_deref() != Some(start)
}

/// Returns the boot ID of this host and the PID namespace.
fn place() -> Option<(String, String)> {
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some((read("/proc/sys/kernel/random/boot_id")?, namespace.to_str()?.replace('/', "_")))
}

/// Returns when a process started, in ticks since boot; `None` if it does not exist or is a zombie.
fn started(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    // The name in parentheses may contain any character, so the fields are counted from its end (proc(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then(|| started.to_owned())
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
        let Some(this) = Process::this() else { return };
        assert!(!has_ended(&this), "{this}");
        assert!(!has_ended("") && !has_ended("a/b/1/2") && !has_ended("///"));
        let mut parts: Vec<&str> = this.split('/').collect();
        parts[3] = "1";
        assert!(has_ended(&parts.join("/")), "another process reuses its PID");
    }

    #[test]
    fn ended_process_is_recognized() {
        let Some((boot, namespace)) = place() else { return };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
        let pid = child.id().to_string();
        let start = started(&pid).expect("it runs");
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
