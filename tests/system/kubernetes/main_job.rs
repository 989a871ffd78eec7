//! Publish, drift, prune and removal end to end, through the API and kubectl only.

use std::time::Duration;

use brokkr_testbed::AgentProcess;
use serde_json::{Value, json};

use crate::support::{Broker, agent_of, clusters, eventually, stays};

const APPLICATION: &str = include_str!("../../../examples/manifests/application.yaml");
const KINDS: [&str; 10] =
    ["configmap", "secret", "deployment", "service", "ingress", "serviceaccount", "role", "rolebinding", "hpa", "pdb"];

/// The application in its own namespace, so that tests do not interfere.
fn application(name: &str) -> String {
    APPLICATION.replace("namespace: greeter", &format!("namespace: {name}")).replacen(
        "name: greeter",
        &format!("name: {name}"),
        1,
    )
}

fn versions(cluster: &brokkr_testbed::TestCluster, namespace: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for kind in KINDS {
        if let Some(object) = cluster.get(kind, namespace, "greeter").unwrap() {
            // Controllers write the status of some kinds: compare their generation or specification instead.
            let version = match (object["metadata"]["generation"].as_u64(), kind) {
                (Some(generation), _) => generation.to_string(),
                (None, "hpa") => object["spec"].to_string(),
                (None, _) => object["metadata"]["resourceVersion"].to_string(),
            };
            out.push((kind.to_owned(), format!("{} {version}", object["metadata"]["uid"])));
        }
    }
    out
}

/// A broker, an agent in each of the three clusters, and the application published to them as one stack.
struct Fleet {
    broker: Broker,
    agents: Vec<AgentProcess>,
    stack: String,
}

const NAME: &str = "main-job";

impl Fleet {
    /// One agent is targeted directly, the other two by a label that they share with the stack.
    async fn publish() -> Self {
        let broker = Broker::start(None).await;
        let agents: Vec<_> =
            clusters().iter().enumerate().map(|(n, it)| agent_of(&broker, &format!("agent-{n}"), it)).collect();
        let stack = broker.stack(NAME);
        assert_eq!(broker.publish(&stack, &application(NAME)), 1);
        broker.target(&stack, &agents[0]);
        let fleet = Self { broker, agents, stack };
        for agent in &fleet.agents[1..] {
            fleet.label(&format!("/agents/{}", agent.id));
        }
        fleet.label(&format!("/stacks/{}", fleet.stack));
        eventually("all three agents have applied it", || async {
            let status = fleet.broker.get(&format!("/stacks/{}/status", fleet.stack));
            if status["summary"]["applied"] == 3 { Ok(()) } else { Err(status) }
        })
        .await;
        fleet
    }

    fn label(&self, path: &str) {
        let headers = ["content-type: application/merge-patch+json", "if-match: \"1\""];
        let (status, body) = self.broker.curl("PATCH", path, &headers, Some(r#"{"labels":{"fleet":"edge"}}"#));
        assert_eq!(status, 200, "{body}");
    }

    fn status(&self, method: &str, path: &str) -> u16 {
        self.broker.curl(method, path, &[], None).0
    }
}

/// Without changes the agents write nothing.
async fn nothing_is_written_while_nothing_changes() {
    let writes = || {
        clusters()
            .iter()
            .map(|it| {
                it.writes_by("brokkr-agent")
                    .unwrap()
                    .into_iter()
                    .filter(|event| event["requestURI"].as_str().unwrap().contains(NAME))
                    .count()
            })
            .collect::<Vec<_>>()
    };
    let before = writes();
    stays(Duration::from_secs(7), "the agents write nothing", || async {
        if writes() == before { Ok(()) } else { Err(writes()) }
    })
    .await;
}

/// Publishes revision 2 as JSON, without the ConfigMap: the agents delete it and leave the rest unchanged.
async fn a_revision_prunes_what_it_drops(fleet: &Fleet) {
    // Wait for the autoscaler first.
    eventually("the Deployment is scaled", || async {
        let deployment = clusters()[0].get("deployment", NAME, "greeter").unwrap().unwrap();
        if deployment["spec"]["replicas"] == 2 { Ok(()) } else { Err(deployment["spec"].clone()) }
    })
    .await;
    let before = versions(&clusters()[0], NAME);
    let documents: Vec<Value> = brokkr_core::manifest::ManifestSet::parse_yaml(application(NAME).as_bytes())
        .unwrap()
        .objects()
        .iter()
        .filter(|it| it.kind() != "ConfigMap")
        .map(|it| Value::Object(it.body().clone()))
        .collect();
    fleet.broker.send(
        "POST",
        &format!("/stacks/{}/deployment-objects", fleet.stack),
        &json!({"manifests": documents, "message": "without configuration"}),
    );
    eventually("revision 2 is applied", || async { fleet.broker.applied(&fleet.stack, 2) }).await;
    for cluster in clusters() {
        assert_eq!(cluster.get("configmap", NAME, "greeter").unwrap(), None, "{}", cluster.name);
    }
    let expected: Vec<_> = before.into_iter().filter(|(kind, _)| kind != "configmap").collect();
    assert_eq!(versions(&clusters()[0], NAME), expected);
}

/// A deleted object is recreated. A changed field is restored, and an added field stays.
async fn drift_is_corrected() {
    let cluster = &clusters()[1];
    cluster.kubectl(&["delete", "service", "greeter", "-n", NAME]).unwrap();
    let patch = r#"{"metadata":{"annotations":{"human":"was here"}},"spec":{"template":{"spec":{"containers":[{"name":"greeter","image":"other:1"}]}}}}"#;
    cluster.kubectl(&["patch", "deployment", "greeter", "-n", NAME, "-p", patch]).unwrap();
    eventually("the object is recreated and the field restored", || async {
        let deployment = cluster.get("deployment", NAME, "greeter").unwrap().unwrap();
        let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
        let added = deployment["metadata"]["annotations"]["human"] == "was here";
        let is_back = cluster.get("service", NAME, "greeter").unwrap().is_some();
        if image == "registry.example/greeter:1.4.2" && added && is_back { Ok(()) } else { Err(deployment) }
    })
    .await;
}

fn is_clean(n: usize) -> Result<(), (bool, Option<Value>)> {
    let cluster = &clusters()[n];
    let crd = cluster.get("crd", "", "greetings.example.brokkr.io").unwrap();
    let namespace = cluster.get("namespace", "", NAME).unwrap();
    if crd.is_none() && namespace.is_none() { Ok(()) } else { Err((crd.is_some(), namespace)) }
}

/// Removing a target cleans one cluster. A stack that is deleted while an agent is stopped remains until that agent returns.
async fn removals_wait_for_every_agent(fleet: &mut Fleet) {
    let target = format!("/stacks/{}/targets/{}", fleet.stack, fleet.agents[0].id);
    assert_eq!(fleet.status("DELETE", &target), 204);
    eventually("the first cluster is clean", || async { is_clean(0) }).await;
    assert_eq!(versions(&clusters()[1], NAME).len(), KINDS.len() - 1);

    fleet.agents[1].kill();
    let path = format!("/stacks/{}", fleet.stack);
    assert_eq!(fleet.status("DELETE", &path), 202);
    eventually("the third cluster is clean", || async { is_clean(2) }).await;
    assert_eq!(fleet.broker.get(&path)["phase"], "deleting");
    assert!(is_clean(1).is_err());
    fleet.agents[1].start().unwrap();
    eventually("the second cluster is clean too", || async { is_clean(1) }).await;
    eventually("the stack is gone", || async {
        let status = fleet.status("GET", &path);
        if status == 404 { Ok(()) } else { Err(status) }
    })
    .await;
}

/// Events and audit records remain after the stack is gone.
fn the_record_is_complete(fleet: &Fleet) {
    let events = fleet.broker.get(&format!("/stacks/{}/events?limit=100", fleet.stack));
    let recorded: Vec<String> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["action"].as_str().unwrap(), it["reason"].as_str().unwrap()))
        .collect();
    for (what, count) in [("apply Applied", 6), ("apply DriftCorrected", 1), ("remove Removed", 3)] {
        assert!(recorded.iter().filter(|it| *it == what).count() >= count, "{what}: {recorded:?}");
    }
    let audit = fleet.broker.get("/audit?limit=500").to_string();
    for action in [
        "stack.create",
        "deployment-object.publish",
        "target.set",
        "target.remove",
        "agent.update",
        "stack.update",
        "stack.delete",
        "stack.removed",
    ] {
        assert!(audit.contains(action), "{action}");
    }
}

/// Audit log check: these agents wrote only the stack's objects, their inventories and their own records. (A deletion has no
/// field manager; it may come from a concurrent test.)
fn nothing_else_was_written(fleet: &Fleet) {
    let allowed = [NAME, "greetings.example.brokkr.io", "brokkr-system"];
    let (mut seen, mut others) = (0, Vec::new());
    for event in clusters().iter().flat_map(|cluster| cluster.writes_by("brokkr-agent").unwrap()) {
        let uri = event["requestURI"].as_str().unwrap();
        if fleet.agents.iter().any(|agent| uri.contains(&format!("fieldManager=brokkr-{}", agent.id))) {
            seen += 1;
            if !allowed.iter().any(|it| uri.contains(it)) {
                others.push(event);
            }
        }
    }
    assert!(seen >= 3 * KINDS.len() && others.is_empty(), "{seen} writes, {others:?} on other objects");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stack_is_applied_to_real_clusters_and_removed() {
    let mut fleet = Fleet::publish().await;
    for cluster in clusters() {
        assert_eq!(versions(cluster, NAME).len(), KINDS.len(), "{}", cluster.name);
        let greeting = cluster.get("greetings.example.brokkr.io", NAME, "morning").unwrap();
        assert_eq!(greeting.unwrap()["spec"]["text"], "Good morning");
    }
    nothing_is_written_while_nothing_changes().await;
    a_revision_prunes_what_it_drops(&fleet).await;
    drift_is_corrected().await;
    removals_wait_for_every_agent(&mut fleet).await;
    the_record_is_complete(&fleet);
    nothing_else_was_written(&fleet);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_object_is_reported_once_and_retried_without_blocking_others() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    let agent = agent_of(&broker, "refused", cluster);
    let (bad, good) = (broker.stack("bad"), broker.stack("good"));
    for stack in [&bad, &good] {
        broker.target(stack, &agent);
    }
    // The namespace is not part of the stack and does not exist.
    broker.publish(&bad, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: test-refused}\n");
    broker.publish(&good, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: test-good, namespace: default}\n");
    eventually("the good stack is applied", || async { broker.applied(&good, 1) }).await;
    eventually("the agent has retried the bad stack", || async {
        let status = broker.get(&format!("/stacks/{bad}/status"));
        if status["agents"][0]["attempts"].as_u64() >= Some(3) { Ok(()) } else { Err(status) }
    })
    .await;
    let failures = broker.get(&format!("/stacks/{bad}/events?outcome=failure"));
    assert_eq!(failures["items"].as_array().unwrap().len(), 1, "{failures}");
    assert_eq!(failures["items"][0]["objects"][0]["name"], "a");
    cluster.kubectl(&["create", "namespace", "test-refused"]).unwrap();
    eventually("the retry succeeds", || async { broker.applied(&bad, 1) }).await;
    assert!(cluster.get("configmap", "test-refused", "a").unwrap().is_some());
}
