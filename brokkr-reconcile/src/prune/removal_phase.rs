//! The order in which objects are removed.

use brokkr_core::model::ObjectRef;

use crate::order::{is_built_in, is_crd, is_namespace};

/// The phase in which an object is removed. A phase starts when the previous one is complete.
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
        // Custom resources are removed first, while their controllers and webhooks still run.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_removal_phase() {
        for (group, kind, phase) in [
            ("", "ResourceQuota", 3),
            ("", "LimitRange", 3),
            ("scheduling.k8s.io", "PriorityClass", 2),
            ("storage.k8s.io", "StorageClass", 2),
            ("", "ServiceAccount", 3),
            ("rbac.authorization.k8s.io", "Role", 3),
            ("rbac.authorization.k8s.io", "ClusterRole", 3),
            ("rbac.authorization.k8s.io", "RoleBinding", 3),
            ("", "ConfigMap", 3),
            ("", "Secret", 3),
            ("", "PersistentVolume", 2),
            ("", "PersistentVolumeClaim", 2),
            ("", "Service", 2),
            ("apps", "Deployment", 2),
            ("batch", "Job", 2),
            ("", "Pod", 2),
            ("", "ReplicationController", 2),
            ("autoscaling", "HorizontalPodAutoscaler", 2),
            ("policy", "PodDisruptionBudget", 2),
            ("networking.k8s.io", "Ingress", 2),
            ("widgets.example.com", "Widget", 0),
            ("widgets.example.com", "Secret", 0),
            ("widgets.k8s.io.example.com", "Widget", 0),
            ("", "Endpoints", 2),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", 1),
            ("apiregistration.k8s.io", "APIService", 1),
            ("", "Namespace", 5),
            ("apiextensions.k8s.io", "CustomResourceDefinition", 4),
        ] {
            let object =
                ObjectRef { group: group.to_owned(), kind: kind.to_owned(), namespace: None, name: "it".to_owned() };
            assert_eq!(removal_phase(&object), phase, "{group}/{kind}");
        }
    }
}
