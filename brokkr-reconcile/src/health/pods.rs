//! Pods.

use serde_json::Value;

use crate::health::ObjectHealth;
use crate::health::status::Status;
use crate::wording::tidy;

/// Reasons of waiting containers that rarely resolve by themselves.
const HOPELESS: [&str; 8] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "ErrImageNeverPull",
];

/// One entry of `status.containerStatuses`.
struct Container<'a>(&'a Value);

impl<'a> Container<'a> {
    fn text(&self, pointer: &str) -> &'a str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn name(&self) -> &'a str {
        self.text("/name")
    }

    /// Returns how the container ended, from `state` or `lastState`: `exited with code 1 (Error): no config`.
    fn exit(&self, state: &str) -> Option<(i64, String)> {
        let ended = |field: &str| self.text(&format!("/{state}/terminated/{field}"));
        let code = self.0.pointer(&format!("/{state}/terminated/exitCode")).and_then(Value::as_i64)?;
        let mut text = format!("exited with code {code}");
        if !ended("reason").is_empty() {
            text.push_str(&format!(" ({})", ended("reason")));
        }
        if !ended("message").is_empty() {
            text.push_str(&format!(": {}", tidy(ended("message"))));
        }
        Some((code, text))
    }
}

fn containers<'a>(status: &Status<'a>) -> impl Iterator<Item = Container<'a>> {
    let all = status.list("/status/initContainerStatuses").iter().chain(status.list("/status/containerStatuses"));
    all.map(Container)
}

/// Returns how to read the log of a container.
fn read_log(status: &Status<'_>, container: &str, more: &str) -> String {
    let (namespace, pod) = (status.text("/metadata/namespace"), status.text("/metadata/name"));
    format!("read the log: `kubectl logs -n {namespace} {pod} -c {container}{more}`")
}

/// Judges a failed pod: by its own message, or by the end of the first failed container.
fn failed(status: &Status<'_>) -> ObjectHealth {
    let reason = Some(status.text("/status/reason")).filter(|it| !it.is_empty()).unwrap_or("PodFailed");
    let text = status.text("/status/message");
    if !text.is_empty() {
        return ObjectHealth::degraded(reason, text);
    }
    let ended =
        containers(status).filter_map(|it| Some((it.name(), it.exit("state").filter(|(code, _)| *code != 0)?.1)));
    match ended.take(1).next() {
        Some((name, exit)) => {
            ObjectHealth::degraded(reason, format!("container {name} {exit}")).with_fix(&read_log(status, name, ""))
        }
        None => ObjectHealth::degraded(reason, ""),
    }
}

/// Judges a container that rarely starts by itself.
fn hopeless(status: &Status<'_>, container: &Container<'_>, reason: &str) -> ObjectHealth {
    let (name, text) = (container.name(), tidy(container.text("/state/waiting/message")));
    let verdict = |message: String| ObjectHealth::degraded(reason, message);
    if reason == "CrashLoopBackOff" {
        // The message of the waiting state only contains the length of the pause.
        let exit =
            container.exit("lastState").map_or_else(|| "exits soon after each start".to_owned(), |(_, exit)| exit);
        let again = match container.0.get("restartCount").and_then(Value::as_i64) {
            Some(count) if count > 0 => format!(", {count} restarts"),
            _ => String::new(),
        };
        return verdict(format!("container {name} {exit}{again}")).with_fix(&read_log(status, name, " --previous"));
    }
    if reason == "CreateContainerConfigError" {
        for (phrase, kind) in [("configmap \"", "ConfigMap"), ("secret \"", "Secret")] {
            let rest = text.split_once(phrase).map(|(_, rest)| rest);
            if let Some(missing) = rest.and_then(|rest| rest.strip_suffix("\" not found")) {
                let namespace = status.text("/metadata/namespace");
                return verdict(format!("container {name}: {kind} {namespace}/{missing} does not exist"))
                    .with_fix("add it to the stack, or correct the reference");
            }
        }
    }
    let text = if text.is_empty() { reason.to_owned() } else { text };
    let verdict = verdict(format!("container {name}: {text}"));
    match reason {
        "ImagePullBackOff" | "ErrImagePull" => {
            verdict.with_fix("correct the image, or give the cluster access to the registry")
        }
        "InvalidImageName" => verdict.with_fix("correct the image"),
        "ErrImageNeverPull" => verdict.with_fix("load the image onto the node, or change imagePullPolicy"),
        _ => verdict,
    }
}

/// What the scheduler says about all nodes, and what helps.
const SCHEDULING: [(&str, &str); 6] = [
    ("node affinity/selector", "correct nodeSelector or affinity, or label a node"),
    ("Insufficient", "lower the requests, or add a node"),
    ("untolerated taint", "tolerate the taint, or remove it from a node"),
    ("Too many pods", "add a node"),
    ("free ports", "choose another hostPort, or add a node"),
    ("topology spread constraints", "relax topologySpreadConstraints, or add nodes"),
];

/// Phrase of the scheduler about a pod whose claims have no volumes.
pub(crate) const UNBOUND_CLAIMS: &str = "unbound immediate PersistentVolumeClaims";

/// Rewords the scheduler's message, which ends with its attempt to evict other pods.
fn unscheduled(reason: &str, message: &str) -> ObjectHealth {
    let ends = [" no new claims to deallocate", " preemption: ", " not found"];
    let mut text = message;
    for end in &ends[..2] {
        text = text.split(end).next().unwrap_or(text);
    }
    if text.contains(UNBOUND_CLAIMS) {
        text = text.strip_suffix(ends[2]).unwrap_or(text);
    }
    let text = text.trim_end_matches([',', '.', ' ']);
    let remedies: Vec<&str> = SCHEDULING.iter().filter(|(phrase, _)| text.contains(phrase)).map(|it| it.1).collect();
    let verdict = ObjectHealth::progressing(reason, text);
    if remedies.is_empty() { verdict } else { verdict.with_fix(&remedies.join("; ")) }
}

pub(crate) fn pod(status: &Status<'_>) -> ObjectHealth {
    match status.text("/status/phase") {
        "Succeeded" => return ObjectHealth::healthy(),
        "Failed" => return failed(status),
        _ => {}
    }
    if status.holds("Ready").is_some() {
        return ObjectHealth::healthy();
    }
    for container in containers(status) {
        let reason = container.text("/state/waiting/reason");
        if HOPELESS.contains(&reason) {
            return hopeless(status, &container, reason);
        }
    }
    if let Some(condition) = status.fails("PodScheduled") {
        return unscheduled(condition.reason_or("NotScheduled"), condition.message());
    }
    ObjectHealth::progressing("NotReady", "it is not ready")
}
