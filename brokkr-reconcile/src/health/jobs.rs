//! Jobs and CronJobs.

use serde::{Deserialize, Serialize};

use crate::health::ObjectHealth;
use crate::health::status::Status;

/// Reason of a failed Job without another one.
pub(crate) const JOB_FAILED: &str = "JobFailed";

/// A Job is ready when it is complete.
pub(crate) fn job(status: &Status<'_>) -> ObjectHealth {
    if let Some(failed) = status.holds("Failed") {
        return ObjectHealth::degraded(failed.reason_or(JOB_FAILED), failed.message());
    }
    if status.holds("Complete").is_some() {
        return ObjectHealth::healthy();
    }
    // The failure target is set before the pods have ended.
    if let Some(failing) = status.holds("FailureTarget") {
        return ObjectHealth::degraded(failing.reason_or(JOB_FAILED), failing.message());
    }
    if status.is_set("/spec/suspend") || status.holds("Suspended").is_some() {
        return ObjectHealth::suspended("it is suspended");
    }
    if !status.is_there() {
        return ObjectHealth::progressing("NotObserved", "its controller has not observed it yet");
    }
    let (active, succeeded, failed) =
        (status.count("/status/active"), status.count("/status/succeeded"), status.count("/status/failed"));
    ObjectHealth::progressing("Running", format!("pods: {active} active, {succeeded} succeeded, {failed} failed"))
}

/// The result of a Job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JobEnd {
    /// The Job completed.
    Complete,
    /// The Job failed, for this reason.
    Failed(String),
}

/// Returns the result of a Job; `None` while it may still run.
pub(crate) fn job_end(status: &Status<'_>) -> Option<JobEnd> {
    if let Some(failed) = status.holds("Failed") {
        return Some(JobEnd::Failed(failed.reason_or(JOB_FAILED).to_owned()));
    }
    status.holds("Complete").map(|_| JobEnd::Complete)
}

/// Returns the health of a Job whose object is gone.
pub(crate) fn ended_job(end: &JobEnd) -> ObjectHealth {
    match end {
        JobEnd::Complete => ObjectHealth::healthy(),
        JobEnd::Failed(reason) => {
            let (why, remedy) = match reason.as_str() {
                "DeadlineExceeded" => (
                    "it ran longer than its activeDeadlineSeconds and".to_owned(),
                    "raise activeDeadlineSeconds, or find out why it takes so long, and publish",
                ),
                "BackoffLimitExceeded" => (
                    "its pods failed more often than its backoffLimit allows, and it".to_owned(),
                    "correct the Job and publish",
                ),
                reason => (format!("it failed ({reason}) and"), "correct the Job and publish"),
            };
            let remedy = format!("{remedy}; a changed manifest runs it again");
            ObjectHealth::degraded(JOB_FAILED, format!("{why} was deleted afterwards")).with_fix(&remedy)
        }
    }
}

pub(crate) fn cron_job(status: &Status<'_>) -> ObjectHealth {
    if status.is_set("/spec/suspend") { ObjectHealth::suspended("it is suspended") } else { ObjectHealth::healthy() }
}
