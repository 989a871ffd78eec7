//! Jobs, and what makes them by the clock.

use super::ObjectHealth;
use super::status::Status;

/// A Job is ready when it is complete: until then what it does has not been done.
pub(super) fn job(status: &Status<'_>) -> ObjectHealth {
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

pub(super) fn has_finished(status: &Status<'_>) -> bool {
    status.holds("Complete").is_some() || status.holds("Failed").is_some()
}

pub(super) fn cron_job(status: &Status<'_>) -> ObjectHealth {
    if status.is_set("/spec/suspend") { ObjectHealth::suspended("it is suspended") } else { ObjectHealth::healthy() }
}
