//! The main job, end to end, with nothing but the API and kubectl.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Broker, agent_of, clusters, eventually, stays};

const APPLICATION: &str = include_str!("../../../examples/manifests/application.yaml");
const KINDS: [&str; 10] =
    ["configmap", "secret", "deployment", "service", "ingress", "serviceaccount", "role", "rolebinding", "hpa", "pdb"];

/// The application in a namespace of its own, so that tests do not meet.
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
            // Controllers write status: where they do, the generation or the specification is what counts.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_reaches_real_clusters_and_leaves_them() {
    let broker = Broker::start(None).await;
    let name = "main-job";
    let mut agents: Vec<_> =
        clusters().iter().enumerate().map(|(n, it)| agent_of(&broker, &format!("agent-{n}"), it)).collect();
    let stack = broker.stack(name);
    assert_eq!(broker.publish(&stack, &application(name)), 1);
    // One directly, the other two by a shared label.
    broker.target(&stack, &agents[0]);
    for agent in &agents[1..] {
        let (status, body) = broker.curl(
            "PATCH",
            &format!("/agents/{}", agent.id),
            &["content-type: application/merge-patch+json", "if-match: \"1\""],
            Some(r#"{"labels":{"fleet":"edge"}}"#),
        );
        assert_eq!(status, 200, "{body}");
    }
    let (status, body) = broker.curl(
        "PATCH",
        &format!("/stacks/{stack}"),
        &["content-type: application/merge-patch+json", "if-match: \"1\""],
        Some(r#"{"labels":{"fleet":"edge"}}"#),
    );
    assert_eq!(status, 200, "{body}");
    eventually("all three have applied it", || async {
        if broker.get(&format!("/stacks/{stack}/status"))["summary"]["applied"] == 3 {
            Ok(())
        } else {
            Err(broker.get(&format!("/stacks/{stack}/status")))
        }
    })
    .await;
    for cluster in clusters() {
        assert_eq!(versions(cluster, name).len(), KINDS.len(), "{}", cluster.name);
        let greeting = cluster.get("greetings.example.brokkr.io", name, "morning").unwrap();
        assert_eq!(greeting.unwrap()["spec"]["text"], "Good morning");
    }

    // Idle: not a single write by these agents.
    let writes = || {
        clusters()
            .iter()
            .map(|it| {
                it.writes_by("brokkr-agent")
                    .unwrap()
                    .into_iter()
                    .filter(|event| event["requestURI"].as_str().unwrap().contains(name))
                    .count()
            })
            .collect::<Vec<_>>()
    };
    let before = writes();
    stays(Duration::from_secs(7), "nothing is written", || async {
        if writes() == before { Ok(()) } else { Err(writes()) }
    })
    .await;

    // Revision 2 as JSON, without the ConfigMap: it is gone, and the rest untouched. The autoscaler has had its say by then.
    eventually("the Deployment is scaled", || async {
        let deployment = clusters()[0].get("deployment", name, "greeter").unwrap().unwrap();
        if deployment["spec"]["replicas"] == 2 { Ok(()) } else { Err(deployment["spec"].clone()) }
    })
    .await;
    let before = versions(&clusters()[0], name);
    let documents: Vec<Value> = brokkr_core::manifest::ManifestSet::parse_yaml(application(name).as_bytes())
        .unwrap()
        .objects()
        .iter()
        .filter(|it| it.kind() != "ConfigMap")
        .map(|it| Value::Object(it.body().clone()))
        .collect();
    broker.send(
        "POST",
        &format!("/stacks/{stack}/deployment-objects"),
        &json!({"manifests": documents, "message": "without configuration"}),
    );
    eventually("revision 2 is applied", || async { broker.applied(&stack, 2) }).await;
    for cluster in clusters() {
        assert_eq!(cluster.get("configmap", name, "greeter").unwrap(), None, "{}", cluster.name);
    }
    let expected: Vec<_> = before.into_iter().filter(|(kind, _)| kind != "configmap").collect();
    assert_eq!(versions(&clusters()[0], name), expected);

    // Deleted by hand: back. Changed by hand: put right, and what was added stays.
    let cluster = &clusters()[1];
    cluster.kubectl(&["delete", "service", "greeter", "-n", name]).unwrap();
    let patch = r#"{"metadata":{"annotations":{"human":"was here"}},"spec":{"template":{"spec":{"containers":[{"name":"greeter","image":"other:1"}]}}}}"#;
    cluster.kubectl(&["patch", "deployment", "greeter", "-n", name, "-p", patch]).unwrap();
    eventually("it is back and right", || async {
        let deployment = cluster.get("deployment", name, "greeter").unwrap().unwrap();
        let right =
            deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/greeter:1.4.2";
        let added = deployment["metadata"]["annotations"]["human"] == "was here";
        if right && added && cluster.get("service", name, "greeter").unwrap().is_some() {
            Ok(())
        } else {
            Err(deployment)
        }
    })
    .await;

    // A target removed: that cluster is clean, the others are not.
    let (status, _) = broker.curl("DELETE", &format!("/stacks/{stack}/targets/{}", agents[0].id), &[], None);
    assert_eq!(status, 204);
    let clean = |n: usize| {
        let cluster = &clusters()[n];
        let crd = cluster.get("crd", "", "greetings.example.brokkr.io").unwrap();
        let namespace = cluster.get("namespace", "", name).unwrap();
        if crd.is_none() && namespace.is_none() { Ok(()) } else { Err((crd.is_some(), namespace)) }
    };
    eventually("the first cluster is clean", || async { clean(0) }).await;
    assert_eq!(versions(&clusters()[1], name).len(), KINDS.len() - 1);

    // The stack deleted while an agent is away: it stays until that one is back.
    agents[1].kill();
    let (status, _) = broker.curl("DELETE", &format!("/stacks/{stack}"), &[], None);
    assert_eq!(status, 202);
    eventually("the third cluster is clean", || async { clean(2) }).await;
    assert_eq!(broker.get(&format!("/stacks/{stack}"))["phase"], "deleting");
    assert!(clean(1).is_err());
    agents[1].start().unwrap();
    eventually("the second cluster is clean too", || async { clean(1) }).await;
    eventually("and the stack is gone", || async {
        let (status, body) = broker.curl("GET", &format!("/stacks/{stack}"), &[], None);
        if status == 404 { Ok(()) } else { Err(body) }
    })
    .await;

    // Events and audit tell all of it, also now that the stack is gone.
    let events = broker.get(&format!("/stacks/{stack}/events?limit=100"));
    let told: Vec<String> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["action"].as_str().unwrap(), it["reason"].as_str().unwrap()))
        .collect();
    for (what, count) in [("apply Applied", 6), ("apply DriftCorrected", 1), ("remove Removed", 3)] {
        assert!(told.iter().filter(|it| *it == what).count() >= count, "{what}: {told:?}");
    }
    let audit = broker.get("/audit?limit=500").to_string();
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
    // The oracle: what these agents wrote was on what they were told, on their inventories or on their own record. (A
    // deletion names no manager; it may be that of a test beside this one.)
    let told = ["main-job", "greetings.example.brokkr.io", "brokkr-system"];
    let (mut seen, mut others) = (0, Vec::new());
    for event in clusters().iter().flat_map(|cluster| cluster.writes_by("brokkr-agent").unwrap()) {
        let uri = event["requestURI"].as_str().unwrap();
        if agents.iter().any(|agent| uri.contains(&format!("fieldManager=brokkr-{}", agent.id))) {
            seen += 1;
            if !told.iter().any(|it| uri.contains(it)) {
                others.push(event);
            }
        }
    }
    assert!(seen >= 3 * KINDS.len() && others.is_empty(), "{seen} writes, {others:?} on something else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_object_is_told_once_blocks_nobody_and_succeeds_by_itself() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    let agent = agent_of(&broker, "refused", cluster);
    let (bad, good) = (broker.stack("bad"), broker.stack("good"));
    for stack in [&bad, &good] {
        broker.target(stack, &agent);
    }
    // The namespace is not part of it and does not exist.
    broker.publish(&bad, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: test-refused}\n");
    broker.publish(&good, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: test-good, namespace: default}\n");
    eventually("the good one is applied", || async { broker.applied(&good, 1) }).await;
    eventually("the bad one was tried several times", || async {
        let status = broker.get(&format!("/stacks/{bad}/status"));
        if status["agents"][0]["attempts"].as_u64() >= Some(3) { Ok(()) } else { Err(status) }
    })
    .await;
    let failures = broker.get(&format!("/stacks/{bad}/events?outcome=failure"));
    assert_eq!(failures["items"].as_array().unwrap().len(), 1, "{failures}");
    assert_eq!(failures["items"][0]["objects"][0]["name"], "a");
    cluster.kubectl(&["create", "namespace", "test-refused"]).unwrap();
    eventually("it succeeds by itself", || async { broker.applied(&bad, 1) }).await;
    assert!(cluster.get("configmap", "test-refused", "a").unwrap().is_some());
}
