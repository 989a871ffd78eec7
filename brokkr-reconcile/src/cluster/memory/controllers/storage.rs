//! Volume claims and volumes.

use brokkr_core::model::ObjectRef;
use serde_json::{Value, json};

use super::{Objects, set, set_status, text};

/// Binds a claim. A claim whose StorageClass does not exist stays `Pending`, as in a real cluster.
pub(super) fn claim(object: &mut Value, objects: &Objects) {
    let class = text(object, "/spec/storageClassName");
    let class_key = ObjectRef {
        group: "storage.k8s.io".to_owned(),
        kind: "StorageClass".to_owned(),
        namespace: None,
        name: class.to_owned(),
    };
    if !class.is_empty() && !objects.contains_key(&class_key) {
        set_status(object, json!({"phase": "Pending"}));
        return;
    }
    if text(object, "/spec/volumeName").is_empty() {
        let volume = format!("pvc-{}", text(object, "/metadata/uid"));
        set(object, "spec", "volumeName", json!(volume));
    }
    let status = json!({
        "phase": "Bound",
        "accessModes": object["spec"]["accessModes"],
        "capacity": object.pointer("/spec/resources/requests"),
    });
    set_status(object, status);
}

pub(super) fn volume(object: &mut Value) {
    if text(object, "/status/phase").is_empty() {
        set_status(object, json!({"phase": "Available"}));
    }
}
