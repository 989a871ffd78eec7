//! Deployments, ReplicaSets, StatefulSets, DaemonSets and Pods.

use serde_json::{Value, json};

use super::{condition, is_set, set_status, wanted_replicas};

/// Number of nodes that a DaemonSet runs on.
const NODES: i64 = 1;

pub(super) fn deployment(object: &mut Value) {
    let generation = object["metadata"]["generation"].clone();
    if is_set(object, "/spec/paused") {
        // A paused Deployment keeps the counts of its last rollout; one that was created paused has none.
        set_status(object, json!({"observedGeneration": generation}));
        return;
    }
    let replicas = wanted_replicas(object);
    let conditions = [
        condition("Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability."),
        condition("Progressing", true, "NewReplicaSetAvailable", "The new ReplicaSet has successfully progressed."),
    ];
    let status = json!({
        "observedGeneration": generation,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "conditions": conditions,
    });
    set_status(object, status);
}

pub(super) fn replica_set(object: &mut Value) {
    let replicas = wanted_replicas(object);
    let status = json!({
        "observedGeneration": object["metadata"]["generation"],
        "replicas": replicas,
        "fullyLabeledReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
    });
    set_status(object, status);
}

pub(super) fn stateful_set(object: &mut Value) {
    let replicas = wanted_replicas(object);
    // All replicas run the current template, so there is one revision, which changes with the template.
    let template = object["spec"]["template"].to_string();
    let revision = format!("{:08x}", crc32fast::hash(template.as_bytes()));
    let status = json!({
        "observedGeneration": object["metadata"]["generation"],
        "replicas": replicas,
        "currentReplicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "currentRevision": revision,
        "updateRevision": revision,
    });
    set_status(object, status);
}

pub(super) fn daemon_set(object: &mut Value) {
    let status = json!({
        "observedGeneration": object["metadata"]["generation"],
        "desiredNumberScheduled": NODES,
        "currentNumberScheduled": NODES,
        "updatedNumberScheduled": NODES,
        "numberReady": NODES,
        "numberAvailable": NODES,
        "numberMisscheduled": 0,
    });
    set_status(object, status);
}

pub(super) fn pod(object: &mut Value) {
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(|it| condition(it, true, "", ""));
    set_status(object, json!({"phase": "Running", "conditions": conditions}));
}
