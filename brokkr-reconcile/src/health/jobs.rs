//! Jobs, and what makes them by the clock.

use serde::{Deserialize, Serialize};

use crate::health::ObjectHealth;
use crate::health::status::Status;

/// A Job is ready when it is complete: until then what it does has not been done.
pub(crate) fn job(status: &Status<'_>) -> ObjectHealth {
    if let Some(failed) = status.holds("Failed") {
        return ObjectHealth::degraded(failed.reason_or("JobFailed"), failed.message());
    }
    if status.holds("Complete").is_some() {
        return ObjectHealth::healthy();
    }
    // A target for failure comes before the pods have ended.
    if let Some(failing) = status.holds("FailureTarget") {
        return ObjectHealth::degraded(failing.reason_or("JobFailed"), failing.message());
    }
    if status.is_set("/spec/suspend") || status.holds("Suspended").is_some() {
        return ObjectHealth::suspended("it is suspended");
    }
    if !status.is_there() {
        return ObjectHealth::progressing("NotObserved", "its controller has not seen it yet");
    }
    let (active, succeeded, failed) =
        (status.count("/status/active"), status.count("/status/succeeded"), status.count("/status/failed"));
    ObjectHealth::progressing("Running", format!("pods: {active} active, {succeeded} succeeded, {failed} failed"))
}

/// How a Job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JobEnd {
    /// It did what it was for.
    Complete,
    /// It did not, for this reason.
    Failed(String),
}

/// How a Job ended; `None` while it may still run.
pub(crate) fn job_end(status: &Status<'_>) -> Option<JobEnd> {
    if let Some(failed) = status.holds("Failed") {
        return Some(JobEnd::Failed(failed.reason_or("JobFailed").to_owned()));
    }
    status.holds("Complete").map(|_| JobEnd::Complete)
}

/// How a Job counts whose object is gone.
pub(crate) fn ended_job(end: &JobEnd) -> ObjectHealth {
    match end {
        JobEnd::Complete => ObjectHealth::healthy(),
        JobEnd::Failed(reason) => ObjectHealth::degraded(
            "JobFailed",
            format!("it failed ({reason}) and was deleted afterwards; to run it again, publish it with a change"),
        ),
    }
}

pub(crate) fn cron_job(status: &Status<'_>) -> ObjectHealth {
    if status.is_set("/spec/suspend") { ObjectHealth::suspended("it is suspended") } else { ObjectHealth::healthy() }
}
