//! The kinds that every in-memory cluster serves.

use serde_json::Value;

use crate::cluster::ApiKind;

const BUILT_IN: &str = "
/v1 Namespace namespaces cluster
/v1 Node nodes cluster
/v1 PersistentVolume persistentvolumes cluster
/v1 ConfigMap configmaps
/v1 Secret secrets
/v1 Service services
/v1 ServiceAccount serviceaccounts
/v1 Pod pods
/v1 PersistentVolumeClaim persistentvolumeclaims
/v1 Endpoints endpoints
/v1 Event events
/v1 ResourceQuota resourcequotas
/v1 LimitRange limitranges
apps/v1 Deployment deployments
apps/v1 StatefulSet statefulsets
apps/v1 DaemonSet daemonsets
apps/v1 ReplicaSet replicasets
batch/v1 Job jobs
batch/v1 CronJob cronjobs
networking.k8s.io/v1 Ingress ingresses
networking.k8s.io/v1 NetworkPolicy networkpolicies
networking.k8s.io/v1 IngressClass ingressclasses cluster
autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers
policy/v1 PodDisruptionBudget poddisruptionbudgets
discovery.k8s.io/v1 EndpointSlice endpointslices
coordination.k8s.io/v1 Lease leases
storage.k8s.io/v1 StorageClass storageclasses cluster
scheduling.k8s.io/v1 PriorityClass priorityclasses cluster
rbac.authorization.k8s.io/v1 Role roles
rbac.authorization.k8s.io/v1 RoleBinding rolebindings
rbac.authorization.k8s.io/v1 ClusterRole clusterroles cluster
rbac.authorization.k8s.io/v1 ClusterRoleBinding clusterrolebindings cluster
admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration validatingwebhookconfigurations cluster
admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutatingwebhookconfigurations cluster
apiregistration.k8s.io/v1 APIService apiservices cluster
apiextensions.k8s.io/v1 CustomResourceDefinition customresourcedefinitions cluster
";

pub(super) fn built_in() -> Vec<ApiKind> {
    let kind = |line: &str| {
        let mut words = line.split_whitespace();
        let (group, version) = words.next()?.split_once('/')?;
        Some(ApiKind {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: words.next()?.to_owned(),
            plural: words.next()?.to_owned(),
            namespaced: words.next().is_none(),
            listable: true,
        })
    };
    BUILT_IN.lines().filter_map(kind).collect()
}

/// Returns the kinds that a custom resource definition adds.
pub(super) fn defined_by(crd: &Value) -> Vec<ApiKind> {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
    let served = versions.into_iter().flatten().filter(|it| it.get("served").and_then(Value::as_bool) != Some(false));
    served
        .filter_map(|version| {
            Some(ApiKind {
                group: text("/spec/group"),
                version: version.get("name")?.as_str()?.to_owned(),
                kind: text("/spec/names/kind"),
                plural: text("/spec/names/plural"),
                namespaced: text("/spec/scope") == "Namespaced",
                listable: true,
            })
        })
        .collect()
}
