//! In which order objects come and go.

use brokkr_core::model::ObjectRef;

/// What comes first when applying: the places that others live in.
pub(crate) fn is_foundation(object: &ObjectRef) -> bool {
    is_namespace(object) || is_crd(object)
}

pub(crate) fn is_namespace(object: &ObjectRef) -> bool {
    object.group.is_empty() && object.kind == "Namespace"
}

pub(crate) fn is_crd(object: &ObjectRef) -> bool {
    object.group == "apiextensions.k8s.io" && object.kind == "CustomResourceDefinition"
}

/// The rank of a kind when applying: what others refer to comes before them, so that most sets settle at the
/// first try. It is a courtesy; nothing waits for it.
pub(crate) fn apply_rank(object: &ObjectRef) -> u8 {
    match (object.group.as_str(), object.kind.as_str()) {
        ("", "ResourceQuota" | "LimitRange") | ("scheduling.k8s.io" | "storage.k8s.io", _) => 0,
        ("", "ServiceAccount") | ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => 1,
        ("rbac.authorization.k8s.io", _) => 2,
        ("", "ConfigMap" | "Secret" | "PersistentVolume" | "PersistentVolumeClaim") => 3,
        ("", "Service") => 4,
        ("apps" | "batch", _) | ("", "Pod" | "ReplicationController") => 5,
        ("autoscaling" | "policy" | "networking.k8s.io", _) => 6,
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => 8,
        _ => 7,
    }
}

/// The phase of a removal in which an object goes; the next one begins when the former is gone.
pub(crate) fn removal_phase(object: &ObjectRef) -> u8 {
    if is_namespace(object) {
        return 5;
    }
    if is_crd(object) {
        return 4;
    }
    match (object.group.as_str(), object.kind.as_str()) {
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => 1,
        ("", "ConfigMap" | "Secret" | "ServiceAccount" | "ResourceQuota" | "LimitRange")
        | ("rbac.authorization.k8s.io", _) => 3,
        (group, _) if is_built_in(group) => 2,
        // Custom resources first, while their controllers and webhooks still run.
        _ => 0,
    }
}

/// Groups that every API server brings along. A custom resource's group has a domain that is not Kubernetes' own.
pub(crate) fn is_built_in(group: &str) -> bool {
    !group.contains('.') || BUILT_IN.contains(&group)
}

const BUILT_IN: [&str; 18] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];
