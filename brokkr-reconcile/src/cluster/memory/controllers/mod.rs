//! Simulated Kubernetes controllers, which write the status that objects have if everything succeeds.
//!
//! A controller is a function of one object and of all objects of the cluster, and runs after every write until nothing
//! changes. No pods, nodes or volumes exist: a workload reports at once that all its replicas run.

mod jobs;
mod scaling;
mod services;
mod storage;
mod workloads;

use std::collections::BTreeMap;

use brokkr_core::model::ObjectRef;
use serde_json::{Value, json};

use crate::cluster::meta;

/// All objects of a cluster.
pub(super) type Objects = BTreeMap<ObjectRef, Value>;

/// Maximum number of rounds. The longest chain has two: autoscalers and disruption budgets read the status of workloads.
pub(super) const ROUNDS: usize = 4;

/// Returns the objects that a controller changes, with their new state.
pub(super) fn changes(objects: &Objects) -> Vec<(ObjectRef, Value)> {
    let alive = objects.iter().filter(|(_, object)| !meta::is_deleting(object));
    let changed = alive.filter_map(|(key, live)| {
        let object = controlled(key, live, objects)?;
        (object != *live).then(|| (key.clone(), object))
    });
    changed.collect()
}

/// Returns the object after its controller ran; `None` for kinds without a controller.
fn controlled(key: &ObjectRef, live: &Value, objects: &Objects) -> Option<Value> {
    let mut object = live.clone();
    match (key.group.as_str(), key.kind.as_str()) {
        ("apps", "Deployment") => workloads::deployment(&mut object),
        ("apps", "ReplicaSet") => workloads::replica_set(&mut object),
        ("apps", "StatefulSet") => workloads::stateful_set(&mut object),
        ("apps", "DaemonSet") => workloads::daemon_set(&mut object),
        ("", "Pod") => workloads::pod(&mut object),
        ("batch", "Job") => jobs::job(&mut object),
        ("", "Service") => services::service(key, &mut object),
        ("", "PersistentVolumeClaim") => storage::claim(&mut object, objects),
        ("", "PersistentVolume") => storage::volume(&mut object),
        ("autoscaling", "HorizontalPodAutoscaler") => scaling::autoscaler(key, &mut object, objects),
        ("policy", "PodDisruptionBudget") => scaling::disruption_budget(key, &mut object, objects),
        _ => return None,
    }
    keep_stalled(live, &mut object);
    Some(object)
}

/// Keeps the condition `Stalled`, which no controller writes: tests set it to make an object degraded.
fn keep_stalled(live: &Value, object: &mut Value) {
    let of = |object: &Value| {
        let conditions = object.pointer("/status/conditions")?.as_array()?;
        conditions.iter().find(|it| it["type"] == "Stalled").cloned()
    };
    let (Some(stalled), None) = (of(live), of(object)) else { return };
    match object.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        Some(conditions) => conditions.push(stalled),
        None => set(object, "status", "conditions", json!([stalled])),
    }
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer)?.as_i64()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn is_set(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer) == Some(&Value::Bool(true))
}

/// Returns the replicas that a workload requests; 1 by default.
fn wanted_replicas(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

/// Sets a field. In an applied object, status and spec are maps or absent.
fn set(object: &mut Value, part: &str, field: &str, value: Value) {
    if !object[part].is_object() {
        object[part] = json!({});
    }
    object[part][field] = value;
}

fn set_status(object: &mut Value, fields: Value) {
    if let Value::Object(fields) = fields {
        for (field, value) in fields {
            set(object, "status", &field, value);
        }
    }
}

fn condition(kind: &str, status: bool, reason: &str, message: &str) -> Value {
    let status = if status { "True" } else { "False" };
    json!({"type": kind, "status": status, "reason": reason, "message": message})
}
