//! An inventory is the parent of an ApplySet as KEP-3659 defines it and kubectl implements it. Other tools therefore see its
//! members, and refuse to change them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brokkr_testbed::TestCluster;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Broker, agent_of, clusters, eventually, inventory, inventory_name};

const ID: &str = "applyset.kubernetes.io/id";
const TOOLING: &str = "applyset.kubernetes.io/tooling";
const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
const MEMBER: &str = "applyset.kubernetes.io/part-of";

/// Kinds with and without a group, with and without a namespace, also in the agent's own namespace.
const MEMBERS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: test-applyset-b}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: one, namespace: test-applyset-a}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: two, namespace: test-applyset-b}
---
apiVersion: v1
kind: Secret
metadata: {name: test-applyset, namespace: brokkr-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: three, namespace: test-applyset-a}
spec:
  replicas: 0
  selector: {matchLabels: {app: three}}
  template: {metadata: {labels: {app: three}}, spec: {containers: [{name: c, image: registry.example/c}]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: test-applyset}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
"#;

fn parent(cluster: &TestCluster, agent: &str, stack: &str) -> Option<Value> {
    cluster.get("secret", "brokkr-system", &inventory_name(agent, stack)).unwrap()
}

/// The hints of a parent: the annotations with kinds and namespaces.
fn hints(parent: &Value) -> (String, String) {
    let annotation = |key: &str| parent["metadata"]["annotations"][key].as_str().unwrap_or_default().to_owned();
    (annotation(KINDS), annotation(NAMESPACES))
}

/// The members by label, in the kinds and namespaces of the hints, as any tool finds them.
fn members(cluster: &TestCluster, parent: &Value) -> Vec<[String; 4]> {
    let (kinds, namespaces) = hints(parent);
    let id = parent["metadata"]["labels"][ID].as_str().unwrap();
    let mut places: Vec<&str> = namespaces.split(',').filter(|it| !it.is_empty()).collect();
    places.push("brokkr-system");
    let mut found = BTreeSet::new();
    for kind in kinds.split(',').filter(|it| !it.is_empty()) {
        for place in &places {
            let list = ["get", kind, "-n", place, "-l", &format!("{MEMBER}={id}"), "-o", "json"];
            let list: Value = serde_json::from_str(&cluster.kubectl(&list).unwrap()).unwrap();
            for item in list["items"].as_array().unwrap() {
                let text = |key: &str| item["metadata"][key].as_str().unwrap_or_default().to_owned();
                found.insert([kind.to_owned(), text("namespace"), text("name"), text("uid")]);
            }
        }
    }
    found.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inventory_is_an_applyset_parent_with_correct_hints() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    let agent = agent_of(&broker, "applyset", cluster);
    cluster.kubectl(&["create", "namespace", "test-applyset-a"]).unwrap();
    let stack = broker.stack("applyset");
    broker.target(&stack, &agent);
    broker.publish(&stack, MEMBERS);
    eventually("applied", || async { broker.applied(&stack, 1) }).await;

    let it = parent(cluster, &agent.id, &stack).unwrap();
    let name = inventory_name(&agent.id, &stack);
    let id = Sha256::digest(format!("{name}.brokkr-system.Secret."));
    assert_eq!(it["metadata"]["labels"][ID], format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(id)));
    let tooling = it["metadata"]["annotations"][TOOLING].as_str().unwrap();
    assert!(tooling.starts_with("brokkr/v") && tooling.len() > "brokkr/v".len(), "{tooling}");
    let kinds = "ClusterRole.rbac.authorization.k8s.io,ConfigMap,Deployment.apps,Namespace,Secret";
    assert_eq!(hints(&it), (kinds.to_owned(), "test-applyset-a,test-applyset-b".to_owned()));
    let held = inventory(cluster, &agent.id, &stack);
    assert_eq!(held.len(), 6, "{held:?}");
    assert_eq!(members(cluster, &it), held);

    // kubectl, which follows the specification, refuses the set.
    let document = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "test-applyset-kubectl", "namespace": "brokkr-system"}});
    let file = std::env::temp_dir().join(format!("{name}.json"));
    std::fs::write(&file, document.to_string()).unwrap();
    let (set, path) = (format!("--applyset=secret/{name}"), file.display().to_string());
    let args = ["apply", "--prune", set.as_str(), "-n", "brokkr-system", "-f", path.as_str()];
    let refused = cluster.kubectl_with(&[("KUBECTL_APPLYSET", "true")], &args).unwrap_err().to_string();
    std::fs::remove_file(&file).unwrap();
    assert!(refused.contains("is managed by tooling \"brokkr\""), "{refused}");
    assert_eq!(members(cluster, &it), held, "kubectl pruned no objects");

    // With fewer kinds and namespaces, the hints become narrower.
    let fewer = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: test-applyset-a}\n";
    broker.publish(&stack, fewer);
    eventually("narrowed", || async {
        let hints = parent(cluster, &agent.id, &stack).map(|it| hints(&it));
        if hints == Some(("ConfigMap".to_owned(), "test-applyset-a".to_owned())) { Ok(()) } else { Err(hints) }
    })
    .await;
    let it = parent(cluster, &agent.id, &stack).unwrap();
    assert_eq!(members(cluster, &it), inventory(cluster, &agent.id, &stack));
    broker.delete_stack(&stack).await;
    assert_eq!(parent(cluster, &agent.id, &stack), None, "the parent is deleted with the last member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_widen_before_writes_and_narrow_after_deletions() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    let agent = agent_of(&broker, "applyset-order", cluster);
    cluster.kubectl(&["create", "namespace", "test-hints"]).unwrap();
    let stack = broker.stack("order");
    broker.target(&stack, &agent);
    // The namespace of this object does not exist. The hints include it before the write.
    let first = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, namespace: test-hints, finalizers: [brokkr.test/hold]}\n";
    let second = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: early, namespace: test-hints-later}\n";
    broker.publish(&stack, &format!("{first}{second}"));
    eventually("the attempt failed", || async { broker.fails_with(&stack, "NotFound") }).await;
    let wide = ("ConfigMap,ServiceAccount".to_owned(), "test-hints,test-hints-later".to_owned());
    assert_eq!(hints(&parent(cluster, &agent.id, &stack).unwrap()), wide);
    assert_eq!(cluster.get("namespace", "", "test-hints-later").unwrap(), None);
    cluster.kubectl(&["create", "namespace", "test-hints-later"]).unwrap();
    eventually("applied", || async { broker.applied(&stack, 1) }).await;

    // A revision without the ConfigMap. A finalizer holds it, so it is still a member and in the hints.
    broker.publish(&stack, second);
    eventually("the ConfigMap is being deleted", || async {
        let it = cluster.get("configmap", "test-hints", "held").unwrap().unwrap();
        if it["metadata"]["deletionTimestamp"].is_string() { Ok(()) } else { Err(it) }
    })
    .await;
    eventually("applied", || async { broker.applied(&stack, 2) }).await;
    let it = parent(cluster, &agent.id, &stack).unwrap();
    assert_eq!(hints(&it), wide);
    assert_eq!(members(cluster, &it), inventory(cluster, &agent.id, &stack));
    let patch = r#"{"metadata":{"finalizers":null}}"#;
    cluster.kubectl(&["patch", "configmap", "held", "-n", "test-hints", "--type=merge", "-p", patch]).unwrap();
    eventually("narrowed", || async {
        let hints = parent(cluster, &agent.id, &stack).map(|it| hints(&it));
        let narrow = ("ServiceAccount".to_owned(), "test-hints-later".to_owned());
        if hints == Some(narrow) { Ok(()) } else { Err(hints) }
    })
    .await;
    broker.delete_stack(&stack).await;
}
