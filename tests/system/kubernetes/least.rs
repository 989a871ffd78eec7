//! Agents with only the rights that `brokkr-agent rbac` prints for their manifests.

use std::process::Command;

use brokkr_testbed::{AgentProcess, TestCluster, program};
use serde_json::json;

use crate::support::{Broker, clusters, eventually, log};

/// Grants a user without rights those that `brokkr-agent rbac` prints for the manifests.
pub(super) fn grant(cluster: &TestCluster, user: &str, manifests: &str, more: &[&str]) {
    let folder = cluster.audit_log.parent().unwrap();
    let (file, rights) = (folder.join(format!("{user}.yaml")), folder.join(format!("{user}-rights.yaml")));
    std::fs::write(&file, manifests).unwrap();
    let mut command = Command::new(program("brokkr-agent").unwrap());
    command.args(["rbac", "--name", user, "--user", user, "--for"]).arg(&file).args(more);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(&rights, output.stdout).unwrap();
    cluster.kubectl(&["apply", "-f", &rights.display().to_string()]).unwrap();
}

fn agent(broker: &Broker, cluster: &TestCluster, user: u32, name: &str) -> AgentProcess {
    let created = broker.send("POST", "/agents", &json!({"name": name, "cluster_name": cluster.name}));
    let (id, pak) = (created["agent"]["id"].as_str().unwrap(), created["pak"].as_str().unwrap());
    let kubeconfig = cluster.kubeconfig_of_stranger(user).unwrap();
    AgentProcess::new(id, pak, &broker.url, &kubeconfig, &log("least"))
}

const APPLICATION: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: test-least}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crews.least.brokkr.io}
spec:
  group: least.brokkr.io
  scope: Namespaced
  names: {kind: Crew, plural: crews, singular: crew}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: least.brokkr.io/v1
kind: Crew
metadata: {name: first, namespace: test-least}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: test-least}
stringData: {a: b}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: test-least}
rules:
  - {apiGroups: [""], resources: [endpoints], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: test-least}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: somebody}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: viewer, namespace: test-least}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: somebody}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: test-least}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example/web:1"}]}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn printed_rights_suffice_to_apply_and_remove() {
    let (broker, cluster) = (Broker::start(None).await, &clusters()[1]);
    grant(cluster, "stranger-1", APPLICATION, &[]);
    let denied = cluster.kubectl(&["auth", "can-i", "create", "pods", "-n", "default", "--as", "stranger-1"]);
    assert!(denied.is_err(), "the user must not have further rights: {denied:?}");
    let mut agent = agent(&broker, cluster, 1, "least");
    agent.start().unwrap();
    let stack = broker.stack("least");
    broker.target(&stack, &agent);
    broker.publish(&stack, APPLICATION);
    eventually("applied", || async { broker.applied(&stack, 1) }).await;
    assert!(cluster.get("crews.least.brokkr.io", "test-least", "first").unwrap().is_some());
    broker.curl("DELETE", &format!("/stacks/{stack}"), &[], None);
    eventually("the Namespace and the definition are gone too", || async {
        let namespace = cluster.get("namespace", "", "test-least").unwrap();
        let definition = cluster.get("crd", "", "crews.least.brokkr.io").unwrap();
        match (namespace, definition) {
            (None, None) => Ok(()),
            there => Err((there, broker.get("/events?limit=5"))),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_in_one_namespace_suffice_for_a_confined_agent() {
    let (broker, cluster) = (Broker::start(None).await, &clusters()[1]);
    cluster.kubectl(&["create", "namespace", "test-confined"]).unwrap();
    let map = |n: usize| {
        format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}, namespace: test-confined}}\n")
    };
    let maps: String = (0..40).map(map).collect();
    let manifests = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: test-confined}}\n{maps}");
    let places = ["--namespaces", "test-confined", "--namespace", "test-confined-agent"];
    grant(cluster, "stranger-2", &manifests, &places);
    let namespaces = cluster.kubectl(&["auth", "can-i", "get", "namespaces", "--as", "stranger-2"]);
    assert!(namespaces.is_err(), "the user must not have rights in the whole cluster: {namespaces:?}");
    let mut agent = agent(&broker, cluster, 2, "confined")
        .env("BROKKR__AGENT__NAMESPACES", "test-confined")
        .env("BROKKR__AGENT__NAMESPACE", "test-confined-agent");
    agent.start().unwrap();
    let stack = broker.stack("confined");
    broker.target(&stack, &agent);
    broker.publish(&stack, &manifests);
    eventually("applied", || async { broker.applied(&stack, 1) }).await;
    let count = || {
        let names = cluster.kubectl(&["get", "configmaps", "-n", "test-confined", "-o", "name"]).unwrap();
        names.lines().filter(|it| it.starts_with("configmap/c")).count()
    };
    assert_eq!(count(), 40);
    // These rights also allow watches.
    cluster.kubectl(&["delete", "configmap", "c1", "-n", "test-confined"]).unwrap();
    eventually("the deleted object is recreated", || async { if count() == 40 { Ok(()) } else { Err("gone") } }).await;
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: test-confined}\nrules: []\n---\n";
    broker.publish(&stack, &format!("{role}{manifests}"));
    eventually("the agent refuses the object itself", || async {
        let status = broker.get(&format!("/stacks/{stack}/status"));
        if status["agents"][0]["last_error"]["reason"] == "NotAllowed" { Ok(()) } else { Err(status) }
    })
    .await;
    broker.curl("DELETE", &format!("/stacks/{stack}"), &[], None);
    eventually("the agent's objects are deleted", || async {
        if count() == 0 { Ok(()) } else { Err(broker.get("/events?limit=5")) }
    })
    .await;
    let namespace = cluster.get("namespace", "", "test-confined").unwrap().unwrap();
    assert_eq!(
        namespace["metadata"]["deletionTimestamp"],
        json!(null),
        "the agent does not delete a Namespace that it only uses"
    );
}
