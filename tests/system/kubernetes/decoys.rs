//! Decoys: objects of others that look like an agent's. The agent neither deletes nor changes them.

use std::collections::BTreeMap;

use brokkr_testbed::{AgentProcess, TestCluster};
use serde_json::{Value, json};

use crate::support::{AuditMark, Broker, agent_of, clusters, eventually};

const NAMESPACE: &str = "test-decoys";
const OTHER: &str = "test-decoys-b";
/// A label that marks decoys in this test. Agents do not know it.
const MARK: &str = "brokkr.test/decoy";
const KINDS: [&str; 6] = ["configmaps", "secrets", "services", "clusterroles", "namespaces", "priorityclasses"];

/// A snapshot of decoys, and the position in the audit log at that time.
struct Decoys<'a> {
    cluster: &'a TestCluster,
    mark: AuditMark<'a>,
    /// UID and resource version, by path.
    seen: BTreeMap<String, (String, String)>,
}

impl<'a> Decoys<'a> {
    /// Takes a snapshot of all objects with these labels.
    fn now(cluster: &'a TestCluster, selector: &str) -> Self {
        Self { cluster, mark: AuditMark::now(cluster), seen: Self::look(cluster, selector) }
    }

    fn look(cluster: &TestCluster, selector: &str) -> BTreeMap<String, (String, String)> {
        let text = cluster.kubectl(&["get", &KINDS.join(","), "-A", "-l", selector, "-o", "json"]).unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        let seen = list["items"].as_array().unwrap().iter().map(|it| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let meta = &it["metadata"];
            let plural = match it["kind"].as_str().unwrap() {
                "PriorityClass" => "priorityclasses".to_owned(),
                kind => format!("{}s", kind.to_lowercase()),
            };
            let place = meta["namespace"].as_str().map(|it| format!("/namespaces/{it}")).unwrap_or_default();
            (format!("{place}/{plural}/{}", text(&meta["name"])), (text(&meta["uid"]), text(&meta["resourceVersion"])))
        });
        seen.collect()
    }

    /// Asserts that all decoys are unchanged, and that no agent has written to them.
    fn are_untouched(&self, selector: &str) {
        let now = Self::look(self.cluster, selector);
        for (path, seen) in &self.seen {
            assert_eq!(now.get(path), Some(seen), "{path}");
        }
        let writes = self.mark.writes(&["test-decoys"]);
        let on_decoys = writes.into_iter().filter(|event| {
            let path = event["requestURI"].as_str().unwrap().split('?').next().unwrap();
            self.seen.keys().any(|it| path.ends_with(it))
        });
        assert_eq!(on_decoys.collect::<Vec<_>>(), Vec::<Value>::new());
    }
}

fn own(kind: &str, name: &str) -> Value {
    let api = if kind == "Role" { "rbac.authorization.k8s.io/v1" } else { "v1" };
    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}});
    match kind {
        "ConfigMap" => object["data"] = json!({"k": "ours"}),
        "Secret" => object["stringData"] = json!({"k": "ours"}),
        "Service" => object["spec"] = json!({"selector": {"app": name}, "ports": [{"port": 80}]}),
        _ => object["rules"] = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]),
    }
    object
}

/// The first revision has all objects; the second lacks some of each kind.
fn revision(first: bool) -> Vec<Value> {
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "test-decoys-ours"}, "rules": []}),
    ];
    objects.extend((0..if first { 30 } else { 10 }).map(|n| own("ConfigMap", &format!("own-{n}"))));
    objects.extend((0..if first { 6 } else { 3 }).map(|n| own("Secret", &format!("own-{n}"))));
    objects.extend((0..if first { 4 } else { 2 }).map(|n| own("Role", &format!("own-{n}"))));
    objects.extend((0..if first { 4 } else { 2 }).map(|n| own("Service", &format!("own-{n}"))));
    objects
}

/// The labels of a stack's object, and the mark.
fn copied_labels(member: &Value) -> Value {
    let mut labels = member["metadata"]["labels"].clone();
    labels[MARK] = json!("yes");
    labels
}

fn object(api: &str, kind: &str, namespace: Option<&str>, name: &str, labels: &Value) -> Value {
    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels}});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    match kind {
        "ClusterRole" => object["rules"] = json!([]),
        "PriorityClass" => object["value"] = json!(7),
        "Namespace" => {}
        _ => object["data"] = json!({"k": "Zm9yZWlnbg=="}),
    }
    object
}

fn list(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// A copy of an object under another name, with labels, annotations and managed fields.
fn whole_copy(member: &Value, name: &str) -> Value {
    let mut copy = member.clone();
    copy["metadata"]["name"] = json!(name);
    copy["metadata"]["labels"] = copied_labels(member);
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        copy["metadata"].as_object_mut().unwrap().remove(field);
    }
    copy
}

/// Creates decoys for the objects of a stack.
fn make_decoys(cluster: &TestCluster, agent: &AgentProcess, member: &Value) {
    let labels = copied_labels(member);
    let map = |namespace, name: String| object("v1", "ConfigMap", Some(namespace), &name, &labels);
    // Decoys with the labels only.
    let mut plain: Vec<_> = (0..60).map(|n| map(NAMESPACE, format!("copied-{n}"))).collect();
    plain.extend((0..20).map(|n| map(OTHER, format!("own-{n}"))));
    plain.extend(
        (0..6).map(|n| object("scheduling.k8s.io/v1", "PriorityClass", None, &format!("test-decoys-{n}"), &labels)),
    );
    cluster.kubectl_on(&list(plain), &["apply"]).unwrap();
    // Decoys that an administrator applies with the agent's field manager.
    let mut managed: Vec<_> = (0..40).map(|n| map(NAMESPACE, format!("managed-{n}"))).collect();
    managed.extend((0..20).map(|n| object("v1", "Secret", Some(OTHER), &format!("own-{n}"), &labels)));
    let roles = (0..20).map(|n| format!("test-decoys-own-{n}"));
    managed.extend(roles.map(|name| object("rbac.authorization.k8s.io/v1", "ClusterRole", None, &name, &labels)));
    managed.extend((0..4).map(|n| object("v1", "Namespace", None, &format!("test-decoys-own-{n}"), &labels)));
    apply_as(cluster, agent, managed);
    // Full copies. Managed fields can only be copied by an update.
    let copies = list((0..20).map(|n| whole_copy(member, &format!("whole-{n}"))).collect());
    cluster.kubectl_on(&copies, &["create"]).unwrap();
    cluster.kubectl_on(&copies, &["replace"]).unwrap();
}

fn apply_as(cluster: &TestCluster, agent: &AgentProcess, objects: Vec<Value>) {
    let manager = format!("--field-manager={}", agent.manager());
    cluster.kubectl_on(&list(objects), &["apply", "--server-side", &manager]).unwrap();
}

/// Replaces objects of the agent by others with the same names: first plain ones, then copies of the agent's.
fn swap(
    cluster: &TestCluster,
    agent: &AgentProcess,
    member: &Value,
    plain: std::ops::Range<u32>,
    forged: std::ops::Range<u32>,
) {
    let names: Vec<String> = (plain.start..forged.end).map(|n| format!("own-{n}")).collect();
    let mut args = vec!["delete", "configmap", "-n", NAMESPACE];
    args.extend(names.iter().map(String::as_str));
    cluster.kubectl(&args).unwrap();
    let map = |n: u32, labels: &Value| object("v1", "ConfigMap", Some(NAMESPACE), &format!("own-{n}"), labels);
    cluster.kubectl_on(&list(plain.map(|n| map(n, &json!({MARK: "swapped"}))).collect()), &["create"]).unwrap();
    let mut labels = copied_labels(member);
    labels[MARK] = json!("swapped");
    apply_as(cluster, agent, forged.map(|n| map(n, &labels)).collect());
}

/// Creates decoys around the agent's objects, and waits for the EndpointSlices of Services. Returns a real object of the agent.
async fn surround(cluster: &TestCluster, agent: &AgentProcess) -> Value {
    let member = cluster.get("configmap", NAMESPACE, "own-0").unwrap().unwrap();
    make_decoys(cluster, agent, &member);
    let of_other = cluster.get("configmap", NAMESPACE, "also-0").unwrap().unwrap();
    let labels = copied_labels(&of_other);
    let copies =
        (0..20).map(|n| object("v1", "ConfigMap", Some(NAMESPACE), &format!("also-copied-{n}"), &labels)).collect();
    apply_as(cluster, agent, copies);
    let slices = || {
        let ours = format!("brokkr.io/agent={}", agent_id(&member));
        cluster.kubectl(&["get", "endpointslices", "-n", NAMESPACE, "-l", &ours, "-o", "name"]).unwrap().lines().count()
    };
    eventually("each Service's EndpointSlice has inherited the labels", || async {
        if slices() == 5 { Ok(()) } else { Err(slices()) }
    })
    .await;
    let forged = cluster.get("configmap", NAMESPACE, "whole-3").unwrap().unwrap();
    assert!(
        forged["metadata"]["managedFields"].to_string().contains(&agent.manager()),
        "the copy is complete: {forged}"
    );
    member
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decoy_objects_are_never_written() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[0];
    cluster.kubectl(&["create", "namespace", OTHER]).unwrap();
    let mut agent = agent_of(&broker, "decoys", cluster);
    let neighbour = agent_of(&broker, "decoys-neighbour", cluster);
    let (stack, other, theirs) = (broker.stack("ours"), broker.stack("deleted"), broker.stack("theirs"));
    for (stack, agent) in [(&stack, &agent), (&other, &agent), (&theirs, &neighbour)] {
        broker.target(stack, agent);
    }
    broker.publish_all(&stack, &revision(true));
    eventually("applied", || async { broker.applied(&stack, 1) }).await;
    let also = |name: &str| (0..12).map(|n| own("ConfigMap", &format!("{name}-{n}"))).collect::<Vec<_>>();
    broker.publish_all(&other, &[also("also"), vec![own("Service", "also")]].concat());
    broker.publish_all(&theirs, &also("theirs"));
    for stack in [&other, &theirs] {
        eventually("applied", || async { broker.applied(stack, 1) }).await;
    }

    let member = surround(cluster, &agent).await;
    let selectors = [format!("{MARK}=yes"), format!("brokkr.io/agent={}", neighbour.id), format!("{MARK}=swapped")];
    let begin = AuditMark::now(cluster);
    let decoys = [Decoys::now(cluster, &selectors[0]), Decoys::now(cluster, &selectors[1])];
    assert_eq!(decoys[0].seen.len(), 210);
    assert_eq!(decoys[1].seen.len(), 14, "the objects of another agent, and its records");
    let untouched = |swapped: &[&Decoys<'_>]| {
        decoys.iter().zip(&selectors).for_each(|(decoys, selector)| decoys.are_untouched(selector));
        swapped.iter().for_each(|decoys| decoys.are_untouched(&selectors[2]));
        let slices = begin.writes(&["/endpointslices"]).into_iter().filter(|it| it.to_string().contains(NAMESPACE));
        assert_eq!(
            slices.collect::<Vec<_>>(),
            Vec::<Value>::new(),
            "objects that inherit the labels belong to their controller"
        );
    };
    let left = |stack: &str| {
        let ours = format!("brokkr.io/stack={stack},!{MARK}");
        let kinds = "configmaps,secrets,services,roles,clusterroles";
        cluster.kubectl(&["get", kinds, "-n", NAMESPACE, "-l", &ours, "-o", "name"]).unwrap().lines().count()
    };

    // A revision drops objects, some of which were replaced while the agent was stopped.
    agent.kill();
    swap(cluster, &agent, &member, 10..16, 16..22);
    let swapped = Decoys::now(cluster, &selectors[2]);
    assert_eq!(swapped.seen.len(), 12);
    broker.publish_all(&stack, &revision(false));
    agent.start().unwrap();
    eventually("applied", || async { broker.applied(&stack, 2) }).await;
    eventually("the dropped objects are gone", || async {
        if left(&stack) == 18 { Ok(()) } else { Err(left(&stack)) }
    })
    .await;
    untouched(&[&swapped]);

    // Desired objects that were replaced: the agent reports them and does not write. Then the target is removed.
    agent.kill();
    swap(cluster, &agent, &member, 0..2, 2..4);
    let wanted = Decoys::now(cluster, &selectors[2]);
    agent.start().unwrap();
    eventually("the agent reports it", || async { broker.fails_with(&stack, "Replaced") }).await;
    untouched(&[&swapped, &wanted]);
    let (status, _) = broker.curl("DELETE", &format!("/stacks/{stack}/targets/{}", agent.id), &[], None);
    assert_eq!(status, 204);
    eventually("the agent's own objects are gone", || async {
        if left(&stack) == 0 { Ok(()) } else { Err(left(&stack)) }
    })
    .await;
    untouched(&[&swapped, &wanted]);

    // The deletion of a whole stack.
    broker.delete_stack(&other).await;
    assert_eq!(left(&other), 0);
    broker.delete_stack(&stack).await;
    untouched(&[&swapped, &wanted]);
    let there = cluster.get("namespace", "", NAMESPACE).unwrap().unwrap();
    assert_eq!(there["metadata"]["deletionTimestamp"], json!(null), "the Namespace still contains objects of others");
}

fn agent_id(member: &Value) -> &str {
    member["metadata"]["labels"]["brokkr.io/agent"].as_str().unwrap()
}
