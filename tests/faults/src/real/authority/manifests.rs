//! What a tenant must not deploy with the default grant.

use serde_json::{Value, json};

use crate::agent::manifests::{config_map, custom, labelled, namespace};

/// One stack of the tenant.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) manifests: Vec<Value>,
}

/// The namespace of the tenant, which the default grant allows.
pub(super) const OWN: &str = "authority";
/// A namespace of someone else.
pub(super) const OTHERS: &str = "authoritarian";
/// The groups of custom resources whose controllers deploy on behalf of who writes them.
pub(super) const DEPLOYERS: [(&str, &str); 4] = [
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("argoproj.io", "Application"),
    ("authority.example.com", "Widget"),
];

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const ADMISSION: &str = "admissionregistration.k8s.io/v1";

fn cluster_scoped(api_version: &str, kind: &str, name: &str, rest: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
        object.extend(rest);
    }
    object
}

fn namespaced(api_version: &str, kind: &str, name: &str, rest: Value) -> Value {
    let mut object = cluster_scoped(api_version, kind, name, rest);
    object["metadata"]["namespace"] = json!(OWN);
    object
}

fn in_namespace(mut object: Value, namespace: &str) -> Value {
    object["metadata"]["namespace"] = json!(namespace);
    object
}

/// A pod with these fields beside its container, and these in its container.
fn pod_spec(spec: Value, container: Value) -> Value {
    let mut main = json!({"name": "main", "image": "registry.example.com/main:1"});
    let mut pod = json!({});
    for (object, fields) in [(&mut main, container), (&mut pod, spec)] {
        if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
            object.extend(fields);
        }
    }
    pod["containers"] = json!([main]);
    pod
}

fn pod(name: &str, spec: Value, container: Value) -> Value {
    namespaced("v1", "Pod", name, json!({"spec": pod_spec(spec, container)}))
}

fn workload(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    let labels = json!({"app": name});
    let template = json!({"metadata": {"labels": labels}, "spec": pod_spec(spec, json!({}))});
    let selector = json!({"matchLabels": labels});
    namespaced(api_version, kind, name, json!({"spec": {"selector": selector, "template": template}}))
}

fn job(name: &str) -> Value {
    pod_spec(json!({"hostNetwork": true, "restartPolicy": "Never", "schedulerName": name}), json!({}))
}

/// A configuration in a namespace, a Secret in it, and the Namespace itself.
pub(super) fn within(place: &str, name: &str) -> Vec<Value> {
    let secret = namespaced("v1", "Secret", name, json!({"stringData": {"a": "1"}}));
    let account = namespaced("v1", "ServiceAccount", name, json!({}));
    vec![config_map(place, name, "1"), in_namespace(secret, place), in_namespace(account, place)]
}

/// Roles and bindings that give more rights than a tenant has.
pub(super) fn rbac() -> Vec<Value> {
    let role = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    let subjects = json!([{"kind": "ServiceAccount", "name": "default", "namespace": OWN}]);
    let all = json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]});
    let aggregated = json!({"rules": all["rules"], "aggregationRule": null});
    let mut to_view = labelled(
        cluster_scoped(RBAC, "ClusterRole", "authority-view", aggregated),
        "rbac.authorization.k8s.io/aggregate-to-view",
        "true",
    );
    to_view["aggregationRule"].take();
    vec![
        cluster_scoped(
            RBAC,
            "ClusterRoleBinding",
            "authority-admin",
            json!({"roleRef": role("cluster-admin"), "subjects": subjects}),
        ),
        cluster_scoped(RBAC, "ClusterRole", "authority-all", all.clone()),
        to_view,
        namespaced(
            RBAC,
            "RoleBinding",
            "authority-admin",
            json!({"roleRef": role("cluster-admin"), "subjects": subjects}),
        ),
        namespaced(RBAC, "Role", "authority-all", all),
        in_namespace(
            namespaced(
                RBAC,
                "RoleBinding",
                "authority-reader",
                json!({"roleRef": role("admin"), "subjects": subjects}),
            ),
            "kube-system",
        ),
    ]
}

fn admission() -> Vec<Value> {
    // Rules about kinds that no one has: the objects are harmless once they are allowed.
    let rules =
        json!([{"apiGroups": ["nowhere.example.com"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]);
    let webhook = json!({"webhooks": [{
        "name": "authority.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore",
        "rules": rules, "clientConfig": {"url": "https://127.0.0.1:1/"},
    }]});
    let policy = json!({"spec": {
        "failurePolicy": "Ignore",
        "matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": "true"}],
    }});
    let binding = json!({"spec": {"policyName": "authority", "validationActions": ["Deny"]}});
    vec![
        cluster_scoped(ADMISSION, "ValidatingWebhookConfiguration", "authority", webhook.clone()),
        cluster_scoped(ADMISSION, "MutatingWebhookConfiguration", "authority", webhook),
        cluster_scoped(ADMISSION, "ValidatingAdmissionPolicy", "authority", policy),
        cluster_scoped(ADMISSION, "ValidatingAdmissionPolicyBinding", "authority", binding),
    ]
}

fn cluster() -> Vec<Value> {
    let slice = json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"]}], "ports": [{"port": 80}]});
    let volume = json!({"spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/"}, "storageClassName": "",
    }});
    vec![
        crate::agent::manifests::definition("tenants.authority.example.com", "Gadget"),
        cluster_scoped(
            "apiregistration.k8s.io/v1",
            "APIService",
            "v1.metrics.authority.example.com",
            json!({"spec": {
                "group": "metrics.authority.example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
                "insecureSkipTLSVerify": true, "service": {"name": "none", "namespace": OWN},
            }}),
        ),
        cluster_scoped("scheduling.k8s.io/v1", "PriorityClass", "authority", json!({"value": 1000000})),
        cluster_scoped("storage.k8s.io/v1", "StorageClass", "authority", json!({"provisioner": "authority.example.com"})),
        cluster_scoped("node.k8s.io/v1", "RuntimeClass", "authority", json!({"handler": "runc"})),
        cluster_scoped("networking.k8s.io/v1", "IngressClass", "authority", json!({"spec": {"controller": "example.com/c"}})),
        cluster_scoped("v1", "PersistentVolume", "authority", volume),
        namespaced("discovery.k8s.io/v1", "EndpointSlice", "authority", slice),
        namespaced("coordination.k8s.io/v1", "Lease", "authority", json!({"spec": {"holderIdentity": "a"}})),
        namespaced("v1", "ResourceQuota", "authority", json!({"spec": {"hard": {"pods": "100000"}}})),
        namespaced("v1", "LimitRange", "authority", json!({"spec": {"limits": [{"type": "Container"}]}})),
        namespaced("networking.k8s.io/v1", "Ingress", "foreign", json!({"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 1}}}}})),
    ]
    .into_iter()
    .map(|it| if it["metadata"]["name"] == "foreign" { in_namespace(it, OTHERS) } else { it })
    .collect()
}

fn namespaces() -> Vec<Value> {
    let mut places = vec![
        config_map("kube-system", "authority-a", "1"),
        config_map("default", "authority-b", "1"),
        config_map("kube-public", "authority-c", "1"),
        config_map("kube-node-lease", "authority-d", "1"),
        config_map(OTHERS, "authority-e", "1"),
        namespace("authoritative"),
        namespace("another-tenant"),
        in_namespace(namespaced("v1", "ServiceAccount", "authority", json!({})), "kube-system"),
        in_namespace(namespaced("v1", "Secret", "authority", json!({"stringData": {"a": "1"}})), OTHERS),
    ];
    let level = "pod-security.kubernetes.io/enforce";
    places.push(labelled(namespace("authority-labelled"), level, "privileged"));
    // A list is unfolded before anything is checked.
    places.push(json!({"apiVersion": "v1", "kind": "List", "items": [
        config_map("kube-system", "authority-f", "1"),
        config_map("default", "authority-f", "1"),
    ]}));
    places
}

fn pods() -> Vec<Value> {
    let host_path = json!({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]});
    let token = json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "vault"}}]}});
    let context = |context: Value| json!({"securityContext": context});
    let none = || json!({});
    vec![
        pod("host-network", json!({"hostNetwork": true}), none()),
        pod("host-pid", json!({"hostPID": true}), none()),
        pod("host-ipc", json!({"hostIPC": true}), none()),
        pod("host-path", host_path.clone(), none()),
        pod("host-port", none(), json!({"ports": [{"containerPort": 80, "hostPort": 80}]})),
        pod("privileged", none(), context(json!({"privileged": true}))),
        pod("capability", none(), context(json!({"capabilities": {"add": ["SYS_ADMIN"]}}))),
        pod("unconfined", none(), context(json!({"seccompProfile": {"type": "Unconfined"}}))),
        pod("app-armor", none(), context(json!({"appArmorProfile": {"type": "Unconfined"}}))),
        pod("se-linux", none(), context(json!({"seLinuxOptions": {"type": "spc_t"}}))),
        pod("sysctl", context(json!({"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]})), none()),
        pod(
            "token",
            json!({"serviceAccountName": "default", "volumes": [{"name": "token", "projected": token["projected"]}]}),
            none(),
        ),
        pod("critical", json!({"priorityClassName": "system-node-critical"}), none()),
        pod("probe", none(), json!({"livenessProbe": {"httpGet": {"host": "169.254.169.254", "port": 80}}})),
        pod(
            "init",
            json!({"initContainers": [{"name": "i", "image": "registry.example.com/i:1", "securityContext": {"privileged": true}}]}),
            none(),
        ),
        workload("apps/v1", "Deployment", "deployment", json!({"hostPID": true})),
        workload("apps/v1", "StatefulSet", "stateful-set", json!({"hostIPC": true})),
        workload("apps/v1", "DaemonSet", "daemon-set", host_path),
        workload("apps/v1", "ReplicaSet", "replica-set", json!({"hostNetwork": true})),
        namespaced("batch/v1", "Job", "job", json!({"spec": {"template": {"spec": job("nobody")}}})),
        namespaced(
            "batch/v1",
            "CronJob",
            "cron-job",
            json!({"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": job("nobody")}}}}}),
        ),
    ]
}

fn others() -> Vec<Value> {
    let account = json!({"kubernetes.io/service-account.name": "default"});
    let mut secret = namespaced("v1", "Secret", "token-secret", json!({"type": "kubernetes.io/service-account-token"}));
    secret["metadata"]["annotations"] = account;
    let service = json!({"spec": {"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]}});
    let mut all = vec![secret, namespaced("v1", "Service", "external", service)];
    all.extend(DEPLOYERS.map(|(group, kind)| custom(group, kind, OWN, "authority", "1")));
    all
}

impl Case {
    /// The objects, with those of lists.
    pub(super) fn objects(&self) -> Vec<&Value> {
        let lists = self.manifests.iter().map(|it| match it["items"].as_array() {
            Some(items) => items.iter().collect(),
            None => vec![it],
        });
        lists.flatten().collect()
    }
}

/// Every case. Each has its own stack.
pub(super) fn cases() -> Vec<Case> {
    let all = [rbac(), admission(), cluster(), namespaces(), pods(), others()].concat();
    let case = |(number, manifest): (usize, Value)| Case { name: format!("c{number}"), manifests: vec![manifest] };
    all.into_iter().enumerate().map(case).collect()
}
