//! Workloads with replicas: Deployment, StatefulSet, DaemonSet, ReplicaSet.

use crate::health::ObjectHealth;
use crate::health::status::Status;

/// Returns why not all wanted replicas exist and are ready.
fn not_all_ready(status: &Status<'_>, wanted: i64) -> Option<ObjectHealth> {
    let there = status.count("/status/replicas");
    if there < wanted {
        return Some(too_few("Scaling", "exist", there, wanted));
    }
    if there > wanted {
        return Some(ObjectHealth::progressing(
            "Scaling",
            format!("{} surplus replicas are terminating", there - wanted),
        ));
    }
    let ready = status.count("/status/readyReplicas");
    (ready < wanted).then(|| too_few("NotReady", "are ready", ready, wanted))
}

/// Formats a count of replicas in the same words for every kind.
fn too_few(reason: &str, what: &str, there: i64, wanted: i64) -> ObjectHealth {
    ObjectHealth::progressing(reason, format!("{there} of {wanted} replicas {what}"))
}

pub(crate) fn deployment(status: &Status<'_>) -> ObjectHealth {
    if let Some(progressing) = status.condition("Progressing")
        && progressing.reason() == "ProgressDeadlineExceeded"
    {
        return ObjectHealth::degraded("ProgressDeadlineExceeded", progressing.message());
    }
    if let Some(failure) = status.holds("ReplicaFailure") {
        return ObjectHealth::refused_pods(
            failure.reason_or("ReplicaFailure"),
            failure.message(),
            status.text("/metadata/namespace"),
        );
    }
    if !status.is_there() {
        return ObjectHealth::progressing("NotObserved", "its controller has not observed it yet");
    }
    let wanted = status.number("/spec/replicas").unwrap_or(1);
    let there = status.count("/status/replicas");
    let updated = status.count("/status/updatedReplicas");
    let paused = status.is_set("/spec/paused");
    if updated < wanted || there > updated {
        // A paused rollout does not continue until a user resumes it.
        if paused {
            return ObjectHealth::suspended("its rollout is paused");
        }
        // Without old pods, nothing is replaced.
        let ready = status.count("/status/readyReplicas");
        if updated < wanted && there <= updated && ready == 0 {
            return too_few("NotReady", "are ready", ready, wanted);
        }
        if updated < wanted {
            return too_few("Updating", "are updated", updated, wanted);
        }
        return ObjectHealth::progressing("Updating", format!("{} old replicas are terminating", there - updated));
    }
    let ready = status.count("/status/readyReplicas");
    if ready < wanted {
        return too_few("NotReady", "are ready", ready, wanted);
    }
    let available = status.count("/status/availableReplicas");
    if available < wanted {
        return too_few("NotAvailable", "are available", available, wanted);
    }
    if let Some(unavailable) = status.fails("Available") {
        return ObjectHealth::progressing(unavailable.reason_or("NotAvailable"), unavailable.message());
    }
    if paused { ObjectHealth::suspended("its rollout is paused") } else { ObjectHealth::healthy() }
}

pub(crate) fn stateful_set(status: &Status<'_>) -> ObjectHealth {
    if !status.is_there() {
        return ObjectHealth::progressing("NotObserved", "its controller has not observed it yet");
    }
    let wanted = status.number("/spec/replicas").unwrap_or(1);
    if let Some(short) = not_all_ready(status, wanted) {
        return short;
    }
    // Pods are updated when a user deletes them, so there is nothing to wait for.
    if status.text("/spec/updateStrategy/type") == "OnDelete" {
        return ObjectHealth::healthy();
    }
    let updated = status.count("/status/updatedReplicas");
    let partition = status.count("/spec/updateStrategy/rollingUpdate/partition");
    if partition > 0 {
        let due = (wanted - partition).max(0);
        return if updated < due { too_few("Updating", "are updated", updated, due) } else { ObjectHealth::healthy() };
    }
    if status.text("/status/currentRevision") != status.text("/status/updateRevision") {
        return too_few("Updating", "are updated", updated, wanted);
    }
    ObjectHealth::healthy()
}

pub(crate) fn daemon_set(status: &Status<'_>) -> ObjectHealth {
    // Without this number, "no eligible node" looks the same as "not observed yet".
    let (Some(_), Some(wanted)) =
        (status.number("/status/observedGeneration"), status.number("/status/desiredNumberScheduled"))
    else {
        return ObjectHealth::progressing("NotObserved", "its controller has not observed it yet");
    };
    let there = status.count("/status/currentNumberScheduled");
    if there < wanted {
        return too_few("Scheduling", "are scheduled", there, wanted);
    }
    let updated = status.count("/status/updatedNumberScheduled");
    if updated < wanted && status.text("/spec/updateStrategy/type") != "OnDelete" {
        return too_few("Updating", "are updated", updated, wanted);
    }
    let available = status.count("/status/numberAvailable");
    if available < wanted {
        return too_few("NotAvailable", "are available", available, wanted);
    }
    let ready = status.count("/status/numberReady");
    if ready < wanted { too_few("NotReady", "are ready", ready, wanted) } else { ObjectHealth::healthy() }
}

pub(crate) fn replica_set(status: &Status<'_>) -> ObjectHealth {
    if let Some(failure) = status.holds("ReplicaFailure") {
        return ObjectHealth::refused_pods(
            failure.reason_or("ReplicaFailure"),
            failure.message(),
            status.text("/metadata/namespace"),
        );
    }
    let wanted = status.number("/spec/replicas").unwrap_or(1);
    if wanted > 0 && !status.is_there() {
        return ObjectHealth::progressing("NotObserved", "its controller has not observed it yet");
    }
    if let Some(short) = not_all_ready(status, wanted) {
        return short;
    }
    let available = status.count("/status/availableReplicas");
    if available < wanted {
        too_few("NotAvailable", "are available", available, wanted)
    } else {
        ObjectHealth::healthy()
    }
}
