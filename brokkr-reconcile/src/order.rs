//! The order in which objects are applied, and the kinds that other objects live in.

use brokkr_core::model::ObjectRef;

/// Whether other objects live in this one, so that it must be applied first.
pub(crate) fn is_namespace_or_crd(object: &ObjectRef) -> bool {
    is_namespace(object) || is_crd(object)
}

pub(crate) fn is_namespace(object: &ObjectRef) -> bool {
    object.group.is_empty() && object.kind == "Namespace"
}

/// Returns the identity of a Namespace.
pub(crate) fn namespace_ref(name: &str) -> ObjectRef {
    ObjectRef { group: String::new(), kind: "Namespace".to_owned(), namespace: None, name: name.to_owned() }
}

/// Whether the kind grants rights.
pub(crate) fn is_rbac(object: &ObjectRef) -> bool {
    object.group == "rbac.authorization.k8s.io"
}

pub(crate) fn is_crd(object: &ObjectRef) -> bool {
    object.group == "apiextensions.k8s.io" && object.kind == "CustomResourceDefinition"
}

/// The rank of a kind in the order of applying: referenced objects come before those that refer to them, so that most
/// sets become ready on the first attempt. Nothing waits for a rank.
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

/// Whether every API server has the group. The group of a custom resource has a domain outside of Kubernetes.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn object(group: &str, kind: &str) -> ObjectRef {
        ObjectRef { group: group.to_owned(), kind: kind.to_owned(), namespace: None, name: "it".to_owned() }
    }

    #[test]
    fn kinds_have_their_rank_and_origin() {
        for (group, kind, rank, built_in) in [
            ("", "ResourceQuota", 0, true),
            ("", "LimitRange", 0, true),
            ("scheduling.k8s.io", "PriorityClass", 0, true),
            ("storage.k8s.io", "StorageClass", 0, true),
            ("", "ServiceAccount", 1, true),
            ("rbac.authorization.k8s.io", "Role", 1, true),
            ("rbac.authorization.k8s.io", "ClusterRole", 1, true),
            ("rbac.authorization.k8s.io", "RoleBinding", 2, true),
            ("", "ConfigMap", 3, true),
            ("", "Secret", 3, true),
            ("", "PersistentVolume", 3, true),
            ("", "PersistentVolumeClaim", 3, true),
            ("", "Service", 4, true),
            ("apps", "Deployment", 5, true),
            ("batch", "Job", 5, true),
            ("", "Pod", 5, true),
            ("", "ReplicationController", 5, true),
            ("autoscaling", "HorizontalPodAutoscaler", 6, true),
            ("policy", "PodDisruptionBudget", 6, true),
            ("networking.k8s.io", "Ingress", 6, true),
            ("widgets.example.com", "Widget", 7, false),
            ("widgets.example.com", "Secret", 7, false),
            ("widgets.k8s.io.example.com", "Widget", 7, false),
            ("", "Endpoints", 7, true),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", 8, true),
            ("apiregistration.k8s.io", "APIService", 8, true),
            ("", "Namespace", 7, true),
            ("apiextensions.k8s.io", "CustomResourceDefinition", 7, true),
        ] {
            let object = object(group, kind);
            let found = (apply_rank(&object), is_built_in(group));
            assert_eq!(found, (rank, built_in), "{group}/{kind}");
        }
    }

    #[test]
    fn namespaces_and_definitions_are_foundations() {
        for (group, kind, namespace, crd) in [
            ("", "Namespace", true, false),
            ("widgets.example.com", "Namespace", false, false),
            ("apiextensions.k8s.io", "CustomResourceDefinition", false, true),
            ("", "CustomResourceDefinition", false, false),
            ("apiextensions.k8s.io", "Namespace", false, false),
            ("", "ConfigMap", false, false),
        ] {
            let object = object(group, kind);
            let found = (is_namespace(&object), is_crd(&object), is_namespace_or_crd(&object));
            assert_eq!(found, (namespace, crd, namespace || crd), "{group}/{kind}");
        }
    }
}
