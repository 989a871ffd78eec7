//! Jobs.

use serde_json::{Value, json};

use super::{condition, is_set, number, set_status};

/// Completes a Job at once, unless it is suspended. Leaves a finished Job unchanged.
pub(super) fn job(object: &mut Value) {
    if object.pointer("/status/completionTime").is_some() {
        return;
    }
    if is_set(object, "/spec/suspend") {
        set_status(object, json!({"conditions": [condition("Suspended", true, "JobSuspended", "Job suspended")]}));
        return;
    }
    // Without `completions`, one successful pod completes the Job.
    let completions = number(object, "/spec/completions").unwrap_or(1);
    let conditions = [
        condition("SuccessCriteriaMet", true, "CompletionsReached", "Reached expected number of succeeded pods"),
        condition("Complete", true, "CompletionsReached", "Reached expected number of succeeded pods"),
    ];
    let created = object["metadata"]["creationTimestamp"].clone();
    let status = json!({
        "startTime": created,
        "completionTime": created,
        "succeeded": completions,
        "ready": 0,
        "conditions": conditions,
    });
    set_status(object, status);
}
