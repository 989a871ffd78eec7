//! Pods.

use serde_json::Value;

use crate::health::ObjectHealth;
use crate::health::status::Status;

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

/// Returns why a pod failed: its own message, or the end of the first failed container.
fn failure(status: &Status<'_>) -> String {
    let said = status.text("/status/message");
    if !said.is_empty() {
        return said.to_owned();
    }
    let containers =
        status.list("/status/initContainerStatuses").iter().chain(status.list("/status/containerStatuses"));
    let ended = containers.filter_map(|container| Some((container, container.pointer("/state/terminated")?)));
    let badly = ended.filter_map(|(container, ended)| {
        let code = ended.get("exitCode")?.as_i64().filter(|code| *code != 0)?;
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text(container, "name");
        Some(format!("container {name} ended with exit code {code} {}", text(ended, "reason")).trim_end().to_owned())
    });
    badly.take(1).collect()
}

pub(crate) fn pod(status: &Status<'_>) -> ObjectHealth {
    match status.text("/status/phase") {
        "Succeeded" => return ObjectHealth::healthy(),
        "Failed" => {
            let reason = Some(status.text("/status/reason")).filter(|it| !it.is_empty()).unwrap_or("PodFailed");
            return ObjectHealth::degraded(reason, failure(status));
        }
        _ => {}
    }
    if status.holds("Ready").is_some() {
        return ObjectHealth::healthy();
    }
    let containers =
        status.list("/status/initContainerStatuses").iter().chain(status.list("/status/containerStatuses"));
    for container in containers {
        let text = |pointer: &str| container.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let reason = text("/state/waiting/reason");
        if HOPELESS.contains(&reason) {
            let (name, said) = (text("/name"), text("/state/waiting/message"));
            let message = match container.pointer("/lastState/terminated/exitCode").and_then(Value::as_i64) {
                // The message of the waiting state only contains the length of the pause.
                Some(code) if reason == "CrashLoopBackOff" => {
                    let why = [text("/lastState/terminated/reason"), text("/lastState/terminated/message")];
                    let why = why.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(": ");
                    format!("container {name} ends with exit code {code} {why}")
                }
                _ if said.is_empty() => format!("container {name}: {reason}"),
                _ => format!("container {name}: {said}"),
            };
            return ObjectHealth::degraded(reason, message.trim_end());
        }
    }
    if let Some(unscheduled) = status.fails("PodScheduled") {
        return ObjectHealth::progressing(unscheduled.reason_or("NotScheduled"), unscheduled.message());
    }
    ObjectHealth::progressing("NotReady", "it is not ready")
}
