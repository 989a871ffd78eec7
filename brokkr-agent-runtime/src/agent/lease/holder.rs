//! Who holds a Lease, and whether it may still be alive.

use std::path::Path;

use brokkr_core::model::InstanceId;

/// One process that may hold the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    /// Host and a number of its own: different for each start.
    pub(super) name: String,
    /// The process as the kernel knows it; absent where that cannot be told.
    pub(super) process: Option<String>,
}

impl Holder {
    /// This process, for one agent that it runs.
    pub(super) fn this() -> Self {
        let host = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "agent".to_owned());
        Self { name: format!("{host}_{}", InstanceId::generate()), process: Process::this() }
    }
}

/// A process among all that ever ran: pids are used again, so its start time and its pid namespace belong to it.
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

/// Whether a process that was written down is certainly not there any more: on this machine, in this pid namespace, since
/// this boot. Of processes elsewhere nothing is known.
pub(super) fn has_ended(process: &str) -> bool {
    let mut parts = process.split('/');
    let (Some(boot), Some(namespace), Some(pid), Some(start)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let here = place().is_some_and(|here| here == (boot.to_owned(), namespace.to_owned()));
    // Only a number leads to a process.
    here && pid.bytes().all(|byte| byte.is_ascii_digit()) && started(pid).as_deref() != Some(start)
}

/// This boot of this machine, and the pid namespace.
fn place() -> Option<(String, String)> {
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some((read("/proc/sys/kernel/random/boot_id")?, namespace.to_str()?.replace('/', "_")))
}

/// When a process started, in ticks since boot; `None` when there is none or it has ended and nobody asked for its end.
fn started(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    // The name in parentheses may hold anything: the fields that follow are counted from its end (proc(5)).
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
    fn unknown_process_is_not_taken_for_ended() {
        let Some(this) = Process::this() else { return };
        assert!(!has_ended(&this), "{this}");
        assert!(!has_ended("") && !has_ended("a/b/1/2") && !has_ended("///"));
        let mut parts: Vec<&str> = this.split('/').collect();
        parts[3] = "1";
        assert!(has_ended(&parts.join("/")), "its pid belongs to another process now");
    }

    #[test]
    fn ended_process_is_recognised() {
        let Some((boot, namespace)) = place() else { return };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
        let pid = child.id().to_string();
        let start = started(&pid).expect("it runs");
        let text = Process { boot: &boot, namespace: &namespace, pid: &pid, started: &start }.text();
        assert!(!has_ended(&text));
        child.kill().expect("it can be killed");
        while !has_ended(&text) {
            std::thread::yield_now();
        }
        child.wait().expect("it has ended");
        assert!(has_ended(&text));
    }
}
